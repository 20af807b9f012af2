package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The manual page has each subcommand, those of policy too, and each of their flags.
func TestManHasAll(t *testing.T) {
	root := newRoot()
	var page strings.Builder
	if err := writeMan(&page, root); err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{} // by "policy check"
	for _, s := range strings.Split(page.String(), "\n.SS ")[1:] {
		title, text, _ := strings.Cut(s, "\n")
		sections[title] = text
	}
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		for _, sub := range c.Commands() {
			if sub.Hidden {
				continue
			}
			name := strings.TrimSpace(path + " " + sub.Name())
			text, found := section(sections, name)
			if !found {
				t.Errorf("no section for %q", name)
			}
			sub.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden && f.Name != "help" && !strings.Contains(text, `.B \-\-`+roff(f.Name)+" ") {
					t.Errorf("the section of %q lacks --%s", name, f.Name)
				}
			})
			walk(sub, name)
		}
	}
	walk(root, "")
	if len(sections) < 13 { // 9 subcommands and the 4 of policy at the time of writing
		t.Errorf("%d sections: too few to be all", len(sections))
	}
}

func section(sections map[string]string, name string) (string, bool) {
	for title, text := range sections {
		if title == name || strings.HasPrefix(title, name+" ") {
			return text, true
		}
	}
	return "", false
}
