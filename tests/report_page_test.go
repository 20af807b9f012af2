package tests

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestReportPage has a browser show the page of a real audit file. It is a part of make
// runtimes, for browsers are big.
func TestReportPage(t *testing.T) {
	if os.Getenv("PIDFD_SHIM_RUNTIMES") == "" {
		skip.Extra(t, errors.New("a part of make runtimes"))
	}
	browser, err := exec.LookPath("chromium")
	skip.Extra(t, err)

	dir := t.TempDir()
	audit, page := filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "report.html")
	policy := filepath.Join(policyDir(t, map[string]string{"usr1": "default: allow\nrules:\n  - name: no-usr1\n    action: deny\n    match: {signals: [SIGUSR1]}\n"}), "usr1.yaml")
	shim := buildShim(t)
	runTruth(t, shim, "run", "--audit="+audit, "--policy", policy, "--", buildTruth(t, "truth", "m64"), "--only", "fds/")
	if out, err := exec.Command(shim, "report", audit, "-o", page).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("report: %v\n%s", err, out)
	}
	calls, denied := countAudit(t, audit)

	dom := browse(t, browser, dir, "--dump-dom", "file://"+page)
	for what, n := range map[string]int{"calls": calls, "denied": denied} {
		if found := regexp.MustCompile(fmt.Sprintf(`<b>%d</b>\s*%s`, n, what)).FindString(dom); found == "" {
			t.Errorf("the page does not show %d %s:\n%s", n, what, dom[:min(len(dom), 6000)])
		}
	}
	if !strings.Contains(dom, "no-usr1") {
		t.Error("the page does not show the rule that denied")
	}
	shot := filepath.Join(dir, "page.png")
	browse(t, browser, dir, "--window-size=1000,1400", "--screenshot="+shot, "file://"+page)
	judgeShot(t, shot)
}

// countAudit counts an audit file's lines, and those of denials.
func countAudit(t *testing.T, path string) (calls, denied int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		calls++
		if strings.Contains(line, `"verdict":"deny"`) {
			denied++
		}
	}
	if calls == 0 || denied == 0 {
		t.Fatalf("%d calls, %d denied", calls, denied)
	}
	return calls, denied
}

// browse runs the browser, which is to find no fault with the page.
func browse(t *testing.T, browser, dir string, words ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--enable-logging=stderr", "--user-data-dir=" + filepath.Join(dir, "profile"),
	}, words...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.Contains(stderr.String(), "CONSOLE") {
		t.Errorf("%s: %v\n%s", shellLine(cmd.Args), err, stderr.String())
	}
	return string(out)
}

// judgeShot wants a picture that is drawn on in each quarter of its height.
func judgeShot(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	size := picture.Bounds()
	for part := range 4 {
		band := image.Rect(size.Min.X, size.Dy()*part/4, size.Max.X, size.Dy()*(part+1)/4)
		if n := coloursIn(picture, band); n < 10 {
			t.Errorf("%d colours in part %d of the picture: nothing is drawn there", n, part)
		}
	}
}

func coloursIn(picture image.Image, band image.Rectangle) int {
	found := map[color.Color]bool{}
	for y := band.Min.Y; y < band.Max.Y; y++ {
		for x := band.Min.X; x < band.Max.X; x++ {
			found[picture.At(x, y)] = true
		}
	}
	return len(found)
}
