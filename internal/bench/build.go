package bench

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed c/*.c
var sources embed.FS

// StandIn, in place of the shim's path, has the C floor measured against itself.
const StandIn = "floor"

// programs are the paths of what samples execute.
type programs struct {
	caller, floor, tracer, shim string

	dir string // where the policies are, too
}

// policy is the path of one of policies.
func (p programs) policy(name string) string { return filepath.Join(p.dir, name+".yaml") }

// build compiles the C programs into dir.
func build(ctx context.Context, dir, shim string) (programs, error) {
	cc, err := compiler()
	if err != nil {
		return programs{}, err
	}
	p := programs{filepath.Join(dir, "caller"), filepath.Join(dir, "floor"), filepath.Join(dir, "tracer"), shim, dir}
	for _, binary := range []string{p.caller, p.floor, p.tracer} {
		if err := compile(ctx, cc, binary); err != nil {
			return programs{}, err
		}
	}
	for name, text := range policies() {
		if err := os.WriteFile(p.policy(name), []byte(text), 0o600); err != nil {
			return programs{}, err
		}
	}
	if shim == StandIn {
		p.shim = p.floor
	}
	return p, nil
}

// policies are those that rows name. None of the hundred rules is about registers alone,
// and none of them matches.
func policies() map[string]string {
	hundred := "version: 1\nrules:\n"
	for i := range 100 {
		hundred += fmt.Sprintf("  - {name: r%d, action: deny, match: {signals: [SIGRTMIN..SIGRTMAX], values: [%d], target: {uid: [%d]}}}\n", i, 1000+i, 2000+i)
	}
	return map[string]string{
		"deny":    "version: 1\nrules:\n  - {name: no-probes, action: deny, match: {signals: [0]}}\n",
		"allow":   "version: 1\nrules:\n  - {name: no-kill, action: deny, match: {signals: [SIGKILL, SIGSTOP]}}\n",
		"hundred": hundred,
		"target":  "version: 1\nsyscalls: all\nrules:\n  - {name: guard, action: deny, match: {target: {uid: [4242]}}}\n",
	}
}

func compiler() (string, error) {
	for _, name := range []string{"cc", "gcc", "clang"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("find a C compiler for the floors: none of cc, gcc, clang in PATH (Debian: apt-get install gcc libc6-dev)")
}

// compile makes binary from the embedded source of the same name.
func compile(ctx context.Context, cc, binary string) error {
	name := filepath.Base(binary) + ".c"
	source, err := sources.ReadFile("c/" + name)
	if err != nil {
		return err
	}
	file := binary + ".c"
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, cc, "-O2", "-o", binary, file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile %s: %w: %s (Debian: apt-get install gcc libc6-dev)", name, err, firstError(string(out)))
	}
	return nil
}

// firstError is the line of a compiler's output that says what is wrong.
func firstError(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for _, line := range lines {
		if strings.Contains(line, "error") {
			return line
		}
	}
	return lines[0]
}
