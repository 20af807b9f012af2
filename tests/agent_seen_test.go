package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// get asks an agent over a unix socket.
func get(t *testing.T, socket, path string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: agentDeadline, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	response, err := client.Get("http://agent" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// scrape reads metrics by Prometheus's own parser.
func scrape(t *testing.T, socket string) map[string]*dto.MetricFamily {
	t.Helper()
	status, text := get(t, socket, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v:\n%s", status, err, text)
	}
	return families
}

// counted sums a family's counters whose labels are as given.
func counted(families map[string]*dto.MetricFamily, name string, labels ...string) int {
	sum := 0.0
	for _, m := range families[name].GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetName()+"="+l.GetValue())
		}
		if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(have, l) }) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return int(sum)
}

// TestAgentIsSeen has two containers call, and looks at them in every way that there is.
func TestAgentIsSeen(t *testing.T) {
	dir := shortDir(t)
	metrics, audit := filepath.Join(dir, "metrics"), filepath.Join(dir, "audit.jsonl")
	policies := policyDir(t, map[string]string{"open": allowAll, "parents": denyParent})
	agent := startAgent(t, "--policy-dir", policies, "--metrics", "unix:"+metrics, "--audit", audit)

	open, beginOpen := startLoadersWith(t, agent.socket, "policy=open", 2, 0)
	agent.log.awaitCount(t, 2, "msg=serving")
	shut, beginShut := startLoadersWith(t, agent.socket, `{\"policy\":\"parents\"}`, 1, 0)
	agent.log.awaitCount(t, 3, "msg=serving")
	if n := counted(scrape(t, metrics), "pidfd_shim_listeners"); n != 3 {
		t.Errorf("%d listeners, want 3", n)
	}
	if n := counted(scrape(t, metrics), "pidfd_shim_containers"); n != 2 { // load-0 twice
		t.Errorf("%d containers, want 2", n)
	}
	listed := listContainers(t, agent)
	if len(listed) != 2 || listed[0]["container"] != "load-0" || listed[0]["listeners"] != 2.0 || listed[1]["policy"] != "open" {
		t.Errorf("ps lists %v", listed)
	}

	beginOpen()
	for _, l := range open {
		l.wait(t)
	}
	if err := os.Rename(audit, audit+".1"); err != nil {
		t.Fatal(err)
	}
	if err := agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, audit)
	beginShut()
	shut[0].wait(t)
	agent.log.awaitCount(t, 3, "served until its end")

	families := scrape(t, metrics)
	for _, row := range []struct {
		name   string
		labels []string
		want   int
	}{
		{"pidfd_shim_calls_total", nil, 24},
		{"pidfd_shim_calls_total", []string{"verdict=allow", "abi=amd64", "syscall=pidfd_send_signal", "errno="}, 16},
		{"pidfd_shim_calls_total", []string{"verdict=deny", "errno=EPERM"}, 8},
		{"pidfd_shim_call_seconds", nil, 24},
		{"pidfd_shim_handovers_total", nil, 3},
		{"pidfd_shim_handovers_refused_total", nil, 0},
		{"pidfd_shim_listeners", nil, 0},
		{"pidfd_shim_duplicates_suppressed_total", nil, 0},
		{"pidfd_shim_misdirections_averted_total", nil, 0},
		{"pidfd_shim_audit_dropped_total", nil, 0},
	} {
		if families[row.name] == nil {
			t.Errorf("no metric %s", row.name)
		}
		if n := counted(families, row.name, row.labels...); n != row.want {
			t.Errorf("%s%v is %d, want %d", row.name, row.labels, n, row.want)
		}
	}
	noUnboundedLabels(t, families)
	if status, text := get(t, metrics, "/healthz"); status != http.StatusOK || text != "ok\n" {
		t.Errorf("healthz: %d %q", status, text)
	}
	agent.stop()
	lines := append(auditLines(t, audit+".1"), auditLines(t, audit)...)
	if len(lines) != 24 || len(auditLines(t, audit)) < 8 {
		t.Errorf("%d audit lines, %d of them after the rotation; want 24 and at least 8", len(lines), len(auditLines(t, audit)))
	}
	for i, line := range lines {
		denied := line["verdict"] == "deny" && line["rule"] == "parents" && line["errno"] == "EPERM"
		allowed := line["verdict"] == "allow"
		if line["seq"] != float64(i+1) || !strings.HasPrefix(fmt.Sprint(line["container"]), "load-") || i < 16 && !allowed || i >= 16 && !denied {
			t.Errorf("line %d: %v", i+1, line)
		}
	}
}

// noUnboundedLabels finds labels whose values nobody bounds.
func noUnboundedLabels(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	allowed := []string{"syscall", "verdict", "path", "abi", "errno", "guard", "rule", "policy", "le", "version", "revision", "goversion"}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(allowed, l.GetName()) {
					t.Errorf("%s has a label %s", name, l.GetName())
				}
			}
		}
	}
}

func listContainers(t *testing.T, s *serving) []map[string]any {
	t.Helper()
	out, err := exec.Command(buildShim(t), "ps", "--json", "--control", s.socket+".control").Output()
	var list []map[string]any
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil {
		t.Fatalf("ps --json: %v\n%s", err, out)
	}
	text, err := exec.Command(buildShim(t), "ps", "--control", s.socket+".control").Output()
	if err != nil || strings.Count(string(text), "\n") != len(list)+1 || !strings.HasPrefix(string(text), "CONTAINER") {
		t.Errorf("ps: %v\n%s", err, text)
	}
	for _, c := range list {
		name, _ := c["container"].(string)
		if out, err := exec.Command(buildShim(t), "ps", name[:len(name)/2+1], "--control", s.socket+".control").Output(); err != nil || !strings.Contains(string(out), "\n"+name+" ") {
			t.Errorf("ps %s: %v\n%s", name[:len(name)/2+1], err, out)
		}
	}
	if out, err := exec.Command(buildShim(t), "ps", "no-such-container", "--control", s.socket+".control").CombinedOutput(); err == nil || !strings.Contains(string(out), "find no-such-container: ") {
		t.Errorf("ps no-such-container: %v %s", err, out)
	}
	return list
}

func auditLines(t *testing.T, path string) []map[string]any {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []map[string]any
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Errorf("%q: %v", scanner.Text(), err)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestRunMetrics scrapes a run while it runs: the demo's two calls.
func TestRunMetrics(t *testing.T) {
	socket := filepath.Join(shortDir(t), "metrics")
	const script = `"$1" send 0 $$; "$1" send SIGWINCH $$; echo sent; read -r line`
	cmd := exec.Command(buildShim(t), "run", "--wait", "all", "--metrics", "unix:"+socket, "--", "bash", "-c", script, "bash", buildShim(t))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := newWatchedLog()
	cmd.Stdout = log.pipe(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Stdout.(*os.File).Close()
	log.await(t, "sent")
	if n := counted(scrape(t, socket), "pidfd_shim_calls_total", "verdict=allow"); n < 2 {
		t.Errorf("%d calls counted, want 2 or more", n)
	}
	_, _ = stdin.Write([]byte("\n"))
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is left behind")
	}
}
