package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const dist = "../../dist"

func distFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dist, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDropIns are the unit's own command and one flag more, which serve has.
func TestDropIns(t *testing.T) {
	unit, _, _ := strings.Cut(distFile(t, "systemd/pidfd-shim.service")[strings.Index(distFile(t, "systemd/pidfd-shim.service"), "ExecStart="):], "\n")
	files, err := filepath.Glob(filepath.Join(dist, "systemd/*.conf"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, file := range files {
		text := distFile(t, "systemd/"+filepath.Base(file))
		more, found := strings.CutPrefix(text[strings.LastIndex(text, "ExecStart="):], unit+" ")
		words := strings.Fields(more)
		if !found || !strings.Contains(text, "\nExecStart=\n") || len(words) != 2 {
			t.Fatalf("%s: not the unit's command and one flag:\n%s", file, text)
		}
		flag := newServeCommand().Flag(strings.TrimPrefix(words[0], "--"))
		if flag == nil || flag.Value.Set(words[1]) != nil {
			t.Errorf("%s: serve takes no %s", file, more)
		}
	}
}

// TestDashboardAndAlerts ask for what there is.
func TestDashboardAndAlerts(t *testing.T) {
	name := regexp.MustCompile(`pidfd_shim_[a-z_]+`)
	known := map[string]bool{}
	for _, folder := range []string{"../../internal", "."} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, quoted := range regexp.MustCompile(`"pidfd_shim_[a-z_]+"`).FindAllString(string(text), -1) {
				known[strings.Trim(quoted, `"`)] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	dashboard := distFile(t, "prometheus/dashboard.json")
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is no JSON")
	}
	asked := name.FindAllString(dashboard+distFile(t, "prometheus/alerts.yaml"), -1)
	for _, metric := range asked {
		if !known[strings.TrimSuffix(metric, "_bucket")] {
			t.Errorf("nobody counts %s", metric)
		}
	}
	if len(asked) < 20 || len(known) < 15 {
		t.Errorf("%d names asked for, %d known", len(asked), len(known))
	}
}
