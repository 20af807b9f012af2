package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newManCommand prints the manual page out of what the subcommands say of
// themselves, so that the two cannot differ.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page, for man -l",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeMan(cmd.OutOrStdout(), cmd.Root())
		},
	}
}

func writeMan(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH PIDFD-SHIM 1 \"\" \"pidfd-shim %s\"\n", version)
	fmt.Fprintf(&b, ".SH NAME\npidfd-shim \\- %s\n", roff(root.Short))
	b.WriteString(".SH SYNOPSIS\n")
	for _, c := range visible(root) {
		fmt.Fprintf(&b, ".B pidfd-shim\n%s\n.br\n", roff(c.Use))
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", paragraphs(root.Long))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range visible(root) {
		manCommand(&b, c)
	}
	b.WriteString(".SH EXIT STATUS\n")
	b.WriteString(paragraphs(exitStatusText))
	fmt.Fprintf(&b, "\n.SH EXAMPLES\n.nf\n%s\n.fi\n", roff(root.Example))
	b.WriteString(".SH SEE ALSO\n.BR pidfd_send_signal (2),\n.BR seccomp_unotify (2)\n")
	_, err := io.WriteString(w, b.String())
	return err
}

const exitStatusText = `"run" ends as COMMAND does: with its status, or by the signal that ended it; 127 says that
COMMAND was not found, 126 that it could not be executed, 125 that pidfd-shim itself failed.

Other subcommands end with 0, with 1 if they failed, and with 2 if their command line was wrong.`

func manCommand(b *strings.Builder, c *cobra.Command) {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	title := strings.TrimPrefix(c.Parent().CommandPath()+" "+c.Use, c.Root().Name()+" ")
	fmt.Fprintf(b, ".SS %s\n%s\n", roff(title), paragraphs(text))
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, ".TP\n.B \\-\\-%s %s\n%s\n", roff(f.Name), roff(value), roff(usage))
	})
	for _, sub := range visible(c) {
		if c.Name() == "completion" { // cobra's own: pages of how to load it into each shell
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(sub.CommandPath()), roff(sub.Short))
			continue
		}
		manCommand(b, sub)
	}
}

func visible(c *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			list = append(list, sub)
		}
	}
	return list
}

func paragraphs(text string) string {
	return strings.ReplaceAll(roff(text), "\n\n", "\n.PP\n")
}

// roff keeps a text from being read as requests: backslashes, dashes that must stay
// ASCII, and control characters at the start of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
