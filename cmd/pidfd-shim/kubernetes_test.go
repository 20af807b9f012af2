package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/pidfd-shim/pidfd-shim/internal/confine"
)

var update = flag.Bool("update", false, "write the files that are generated")

const (
	manifests   = "../../dist/kubernetes"
	policyFiles = "../../docs/policies"
)

// deployed are the policies that the ConfigMaps bring to each node.
var deployed = []string{"only-sigterm", "worker-pool"}

// The ConfigMaps are docs/policies, and what "policy compile" makes of them.
func TestKubernetesConfigMaps(t *testing.T) {
	policies := map[string]string{}
	profiles := map[string]string{}
	for _, name := range deployed {
		file := filepath.Join(policyFiles, name+".yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out, errOut bytes.Buffer
		if status := execute([]string{"policy", "compile", file, "--format", "oci"}, nil, &out, &errOut); status != 0 {
			t.Fatalf("policy compile %s: status %d: %s", file, status, &errOut)
		}
		policies[name+".yaml"] = string(text)
		profiles[name+".json"] = out.String()
	}
	compareConfigMap(t, "policies", policies)
	compareConfigMap(t, "profiles", profiles)
}

type configMap struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	Data       map[string]string
}

func compareConfigMap(t *testing.T, name string, want map[string]string) {
	t.Helper()
	file := filepath.Join(manifests, name+".yaml")
	if *update {
		if err := os.WriteFile(file, writeConfigMap(name, want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got configMap
	readManifest(t, file, &got)
	head := []string{got.APIVersion, got.Kind, got.Metadata.Name, got.Metadata.Namespace}
	if diff := cmp.Diff([]string{"v1", "ConfigMap", "pidfd-shim-" + name, "pidfd-shim"}, head); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
	if diff := cmp.Diff(want, got.Data); diff != "" {
		t.Errorf("%s is not what the policies come to (-want +got); go test ./cmd/pidfd-shim -run Kubernetes -update\n%s", file, diff)
	}
}

func writeConfigMap(name string, data map[string]string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Made by go test ./cmd/pidfd-shim -run Kubernetes -update, out of docs/policies.\n")
	fmt.Fprintf(&out, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: pidfd-shim-%s\n  namespace: pidfd-shim\ndata:\n", name)
	for _, policy := range deployed {
		for _, key := range []string{policy + ".yaml", policy + ".json"} {
			if text, ok := data[key]; ok {
				indented := regexp.MustCompile(`(?m)^(.+)$`).ReplaceAllString(text, "    $1")
				fmt.Fprintf(&out, "  %s: |\n%s", key, indented)
			}
		}
	}
	return out.Bytes()
}

// readManifest reads the last document of a file; an unknown field of out is no error.
func readManifest(t *testing.T, file string, out any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(text), "\n---\n")
	if err := yaml.Unmarshal([]byte(documents[len(documents)-1]), out); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

type securityContext struct {
	Privileged               bool
	AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
	Capabilities             struct{ Drop, Add []string }
	SeccompProfile           struct {
		Type             string
		LocalhostProfile string `yaml:"localhostProfile"`
	} `yaml:"seccompProfile"`
}

type container struct {
	Command, Args   []string
	SecurityContext securityContext     `yaml:"securityContext"`
	LivenessProbe   any                 `yaml:"livenessProbe"`
	VolumeMounts    []map[string]string `yaml:"volumeMounts"`
}

func (c container) mounts() map[string]string {
	paths := map[string]string{}
	for _, m := range c.VolumeMounts {
		paths[m["name"]] = m["mountPath"]
	}
	return paths
}

type podSpec struct {
	HostPID        bool        `yaml:"hostPID"`
	HostNetwork    bool        `yaml:"hostNetwork"`
	HostIPC        bool        `yaml:"hostIPC"`
	InitContainers []container `yaml:"initContainers"`
	Containers     []container
	Volumes        []struct {
		Name      string
		HostPath  struct{ Path string } `yaml:"hostPath"`
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

// The agent's pod sees the host's processes, has the rights of the systemd unit and no
// others, and shares two folders with the host: the socket's, and the kubelet's profiles.
func TestKubernetesDaemonSet(t *testing.T) {
	var set struct {
		Kind string
		Spec struct {
			UpdateStrategy struct{ Type string } `yaml:"updateStrategy"`
			Template       struct{ Spec podSpec }
		}
	}
	readManifest(t, filepath.Join(manifests, "daemonset.yaml"), &set)
	pod := set.Spec.Template.Spec
	if set.Kind != "DaemonSet" || set.Spec.UpdateStrategy.Type != "OnDelete" {
		t.Errorf("kind %s, updateStrategy %s", set.Kind, set.Spec.UpdateStrategy.Type)
	}
	if !pod.HostPID || pod.HostNetwork || pod.HostIPC {
		t.Errorf("hostPID %v, hostNetwork %v, hostIPC %v: want the first alone", pod.HostPID, pod.HostNetwork, pod.HostIPC)
	}
	volumes := map[string]string{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v.HostPath.Path + v.ConfigMap.Name
	}
	want := map[string]string{
		"socket": "/run/pidfd-shim", "kubelet-seccomp": "/var/lib/kubelet/seccomp/pidfd-shim",
		"policies": "pidfd-shim-policies", "profiles": "pidfd-shim-profiles",
	}
	if diff := cmp.Diff(want, volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 1 {
		t.Fatalf("%d containers, %d before them: want one each", len(pod.Containers), len(pod.InitContainers))
	}
	checkAgent(t, pod.Containers[0])
	checkInstaller(t, pod.InitContainers[0])
}

func checkAgent(t *testing.T, c container) {
	t.Helper()
	if diff := cmp.Diff(unitCapabilities(t), slices.Sorted(slices.Values(c.SecurityContext.Capabilities.Add))); diff != "" {
		t.Errorf("capabilities (-unit +pod):\n%s", diff)
	}
	checkLocked(t, "agent", c.SecurityContext)
	if c.LivenessProbe != nil {
		t.Error("a livenessProbe: a restart costs containers their agent")
	}
	if diff := cmp.Diff(map[string]string{"socket": "/run/pidfd-shim", "policies": "/etc/pidfd-shim/policies"}, c.mounts()); diff != "" {
		t.Errorf("the agent's mounts (-want +got):\n%s", diff)
	}
	serve := newServeCommand()
	if c.Args[0] != serve.Name() {
		t.Fatalf("it runs %q", c.Args)
	}
	if err := serve.ParseFlags(c.Args[1:]); err != nil {
		t.Error(err)
	}
	for flag, want := range map[string]string{"socket": profileSocket(t), "policy-dir": "/etc/pidfd-shim/policies"} {
		if got := serve.Flag(flag).Value.String(); got != want {
			t.Errorf("--%s=%s, want %s", flag, got, want)
		}
	}
}

func checkInstaller(t *testing.T, c container) {
	t.Helper()
	checkLocked(t, "installer", c.SecurityContext)
	if add := c.SecurityContext.Capabilities.Add; len(add) > 0 {
		t.Errorf("the installer has capabilities: %v", add)
	}
	if diff := cmp.Diff(map[string]string{"profiles": "/profiles", "kubelet-seccomp": "/seccomp"}, c.mounts()); diff != "" {
		t.Errorf("the installer's mounts (-want +got):\n%s", diff)
	}
	var files []string
	for _, name := range deployed {
		files = append(files, "/profiles/"+name+".json")
	}
	if diff := cmp.Diff(files, c.Args); diff != "" {
		t.Errorf("what the installer copies (-want +got):\n%s", diff)
	}
}

func checkLocked(t *testing.T, who string, s securityContext) {
	t.Helper()
	if s.Privileged || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem ||
		!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the %s's rights: %+v", who, s)
	}
}

// The unit, and so the pod, gives the agent what it has a use for and nothing else.
func TestUnitCapabilities(t *testing.T) {
	var needed []string
	for _, c := range confine.Capabilities {
		needed = append(needed, strings.TrimPrefix(c.Name(), "CAP_"))
	}
	slices.Sort(needed)
	if diff := cmp.Diff(needed, unitCapabilities(t)); diff != "" {
		t.Errorf("CapabilityBoundingSet= (-confine +unit):\n%s", diff)
	}
}

// unitCapabilities is what the systemd unit leaves the agent, as Kubernetes spells it.
func unitCapabilities(t *testing.T) []string {
	t.Helper()
	unit, err := os.ReadFile("../../dist/systemd/pidfd-shim.service")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(unit)
	if line == nil {
		t.Fatal("the unit has no CapabilityBoundingSet")
	}
	return slices.Sorted(slices.Values(strings.Fields(strings.ReplaceAll(string(line[1]), "CAP_", ""))))
}

// profileSocket is where containers of the deployed profiles look for the agent.
func profileSocket(t *testing.T) string {
	t.Helper()
	var profiles configMap
	readManifest(t, filepath.Join(manifests, "profiles.yaml"), &profiles)
	var profile struct {
		ListenerPath string `yaml:"listenerPath"`
	}
	if err := yaml.Unmarshal([]byte(profiles.Data[deployed[0]+".json"]), &profile); err != nil {
		t.Fatal(err)
	}
	return profile.ListenerPath
}

// The example asks for a profile that the installer has put there.
func TestKubernetesExample(t *testing.T) {
	var pod struct {
		Kind string
		Spec podSpec
	}
	readManifest(t, filepath.Join(manifests, "example-pod.yaml"), &pod)
	profile := pod.Spec.Containers[0].SecurityContext.SeccompProfile
	name, found := strings.CutPrefix(profile.LocalhostProfile, "pidfd-shim/")
	if pod.Kind != "Pod" || profile.Type != "Localhost" || !found ||
		!slices.Contains(deployed, strings.TrimSuffix(name, ".json")) {
		t.Errorf("%s under %+v", pod.Kind, profile)
	}
}
