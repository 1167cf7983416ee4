package daemon

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/wsdproc"
	"go.yaml.in/yaml/v3"
)

// No container engine, Kubernetes, Envoy or systemd runs here: their files are read,
// and held against what wsd needs of them.

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documents are those of a YAML file.
func documents(t *testing.T, name string) (all []any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewBufferString(read(t, name)))
	for {
		var doc any
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, doc)
	}
}

// at is what stands at a path of keys and indexes, nil when nothing does.
func at(doc any, path ...any) any {
	for _, key := range path {
		switch k := key.(type) {
		case string:
			m, _ := doc.(map[string]any)
			doc = m[k]
		case int:
			l, _ := doc.([]any)
			if k >= len(l) {
				return nil
			}
			doc = l[k]
		}
	}
	return doc
}

// field is a path in a document and what must stand there.
type field struct {
	path []any
	want any
}

func hold(t *testing.T, name string, doc any, fields []field) {
	t.Helper()
	for _, f := range fields {
		if got := at(doc, f.path...); got != f.want {
			t.Errorf("%s: %v is %#v, want %#v", name, f.path, got, f.want)
		}
	}
}

func p(keys ...any) []any { return keys }

func TestKubernetesFiles(t *testing.T) {
	base := "kubernetes/base/"
	deployment := documents(t, base+"deployment.yaml")[0]
	pod := at(deployment, "spec", "template", "spec")
	hold(t, "deployment", deployment, []field{
		{p("apiVersion"), "apps/v1"},
		{p("kind"), "Deployment"},
		{p("spec", "replicas"), nil}, // the autoscaler's
		{p("spec", "minReadySeconds"), 30},
		{p("spec", "strategy", "rollingUpdate", "maxUnavailable"), 0},
		{p("spec", "strategy", "rollingUpdate", "maxSurge"), 1},
	})
	hold(t, "pod", pod, []field{
		{p("terminationGracePeriodSeconds"), 45},
		{p("securityContext", "runAsNonRoot"), true},
		{p("containers", 0, "lifecycle", "preStop", "sleep", "seconds"), 5},
		{p("containers", 0, "livenessProbe", "httpGet", "path"), "/livez"},
		{p("containers", 0, "livenessProbe", "httpGet", "port"), "admin"}, // whatever clients do at the public one
		{p("containers", 0, "readinessProbe", "httpGet", "path"), "/readyz"},
		{p("containers", 0, "securityContext", "readOnlyRootFilesystem"), true},
		{p("containers", 0, "securityContext", "allowPrivilegeEscalation"), false},
		{p("containers", 0, "resources", "limits", "cpu"), nil},
		{p("containers", 0, "resources", "limits", "memory"), "1Gi"},
	})
	// What is mounted is there, and what is probed is a port.
	volumes := map[any]bool{}
	for _, v := range at(pod, "volumes").([]any) {
		volumes[at(v, "name")] = true
	}
	for _, m := range at(pod, "containers", 0, "volumeMounts").([]any) {
		if !volumes[at(m, "name")] {
			t.Errorf("no volume %v", at(m, "name"))
		}
	}
	ports := map[any]any{}
	for _, port := range at(pod, "containers", 0, "ports").([]any) {
		ports[at(port, "name")] = at(port, "containerPort")
	}
	if ports["public"] != 3000 || ports["admin"] != 9090 {
		t.Errorf("ports %v", ports)
	}

	hpa := documents(t, base+"hpa.yaml")[0]
	hold(t, "hpa", hpa, []field{
		{p("apiVersion"), "autoscaling/v2"},
		{p("spec", "scaleTargetRef", "name"), at(deployment, "metadata", "name")},
		{p("spec", "metrics", 0, "resource", "target", "averageUtilization"), 70},
		{p("spec", "metrics", 1, "pods", "metric", "name"), "websocket_connections"},
		{p("spec", "metrics", 1, "pods", "target", "averageValue"), "40000"},
		{p("spec", "behavior", "scaleDown", "stabilizationWindowSeconds"), 600},
		{p("spec", "behavior", "scaleDown", "policies", 0, "value"), 1},
		{p("spec", "behavior", "scaleDown", "policies", 0, "periodSeconds"), 300},
	})
	hold(t, "pdb", documents(t, base+"pdb.yaml")[0], []field{
		{p("kind"), "PodDisruptionBudget"},
		{p("spec", "maxUnavailable"), 1},
		{p("spec", "selector", "matchLabels", "app.kubernetes.io/name"), "wsd"}, // the kustomization's label
	})
	services := documents(t, base+"service.yaml")
	hold(t, "service", services[0], []field{
		{p("spec", "ports", 0, "targetPort"), "public"},
		{p("spec", "sessionAffinity"), "ClientIP"},
	})
	hold(t, "admin service", services[1], []field{
		{p("spec", "clusterIP"), "None"},
		{p("spec", "ports", 0, "targetPort"), "admin"},
	})
	rule := documents(t, "kubernetes/prometheus-adapter.yaml")[0]
	hold(t, "prometheus-adapter", rule, []field{{p("rules", "custom", 0, "name", "as"), "websocket_connections"}})

	// The label by which services and the budget find the pods.
	kustomization := documents(t, base+"kustomization.yaml")[0]
	hold(t, "kustomization", kustomization, []field{
		{p("labels", 0, "pairs", "app.kubernetes.io/name"), "wsd"},
		{p("labels", 0, "includeSelectors"), true},
	})

	// The base names each file that stands beside it, and none that does not.
	named := []string{"kustomization.yaml"}
	for _, r := range at(kustomization, "resources").([]any) {
		named = append(named, r.(string))
	}
	for _, f := range at(kustomization, "configMapGenerator", 0, "files").([]any) {
		named = append(named, f.(string))
	}
	var there []string
	entries, err := os.ReadDir("../../deploy/" + base)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		there = append(there, e.Name())
	}
	slices.Sort(named)
	if !slices.Equal(named, there) {
		t.Errorf("kustomization names %v, the folder has %v", named, there)
	}
	settings := documents(t, base+"wsd.yaml")[0]
	hold(t, "wsd.yaml", settings, []field{
		{p("listen"), "0.0.0.0:3000"},
		{p("admin-listen"), "0.0.0.0:9090"},
		{p("drain-lb-wait"), "0s"}, // preStop has waited
		{p("drain-timeout"), "30s"},
	})
}

func TestEnvoyFile(t *testing.T) {
	doc := documents(t, "envoy/envoy.yaml")[0]
	manager := at(doc, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config")
	hold(t, "manager", manager, []field{
		{p("upgrade_configs", 0, "upgrade_type"), "websocket"},
		{p("use_remote_address"), true},
		{p("stream_idle_timeout"), "75s"},
		{p("route_config", "virtual_hosts", 0, "routes", 0, "route", "timeout"), "0s"},
		{p("route_config", "virtual_hosts", 0, "routes", 0, "route", "hash_policy", 0, "cookie", "name"), "wsd"},
	})
	cluster := at(doc, "static_resources", "clusters", 0)
	hold(t, "cluster", cluster, []field{
		{p("name"), at(manager, "route_config", "virtual_hosts", 0, "routes", 0, "route", "cluster")},
		{p("lb_policy"), "RING_HASH"},
		{p("health_checks", 0, "http_health_check", "path"), "/health"},
	})
}

// directives are the lines of a unit, "Section.Key" to its values.
func directives(t *testing.T, name string) map[string][]string {
	t.Helper()
	all, section := map[string][]string{}, ""
	for line := range strings.Lines(read(t, name)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				t.Errorf("%s: %q", name, line)
			}
			all[section+"."+key] = append(all[section+"."+key], value)
		}
	}
	return all
}

func TestSystemdUnits(t *testing.T) {
	service := directives(t, "systemd/wsd.service")
	for key, want := range map[string]string{
		"Service.Type":            "notify",
		"Service.WatchdogSec":     "10",
		"Service.ExecStart":       "/usr/local/bin/wsd serve --config /etc/wsd/wsd.yaml",
		"Service.ExecReload":      "/bin/kill -HUP $MAINPID",
		"Service.LimitNOFILE":     "1048576",
		"Service.TimeoutStopSec":  "40",
		"Service.KillMode":        "mixed",
		"Service.NoNewPrivileges": "yes",
		"Service.ProtectSystem":   "strict",
		"Service.DynamicUser":     "yes",
		"Unit.Requires":           "wsd.socket",
	} {
		if got := service[key]; len(got) != 1 || got[0] != want {
			t.Errorf("wsd.service: %s is %q, want %q", key, got, want)
		}
	}
	socket := directives(t, "systemd/wsd.socket")
	for key, want := range map[string]string{
		"Socket.ListenStream":       "0.0.0.0:3000",
		"Socket.FileDescriptorName": "public",
		"Install.WantedBy":          "sockets.target",
	} {
		if got := socket[key]; len(got) != 1 || got[0] != want {
			t.Errorf("wsd.socket: %s is %q, want %q", key, got, want)
		}
	}
}

func TestDockerfile(t *testing.T) {
	text := read(t, "docker/Dockerfile")
	stage := text[strings.LastIndex(text, "\nFROM "):]
	for _, want := range []string{
		"\nFROM scratch\n",
		"\nUSER 65532:65532\n",
		"HEALTHCHECK --interval=5s --timeout=2s --start-period=5s --retries=2 CMD [\"/wsd\", \"healthcheck\"]\n",
		"\nENTRYPOINT [\"/wsd\"]\nCMD [\"serve\"]\n",
		"\nCOPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/\n",
	} {
		if !strings.Contains(stage, want) {
			t.Errorf("the last stage has no %q", strings.TrimSpace(want))
		}
	}
	if !strings.Contains(text, "CGO_ENABLED=0 go build") {
		t.Error("the program is not static")
	}
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(module)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "go "); ok {
			if minor := strings.TrimSuffix(v, ".0"); !strings.Contains(text, "FROM golang:"+minor+" AS build\n") {
				t.Errorf("the module wants Go %s", v)
			}
		}
	}
}

// The program takes the settings of the Kubernetes base, with each variable that the
// pod has.
func TestKubernetesSettings(t *testing.T) {
	deployment := documents(t, "kubernetes/base/deployment.yaml")[0]
	secret := filepath.Join(t.TempDir(), "secret")
	for _, v := range at(deployment, "spec", "template", "spec", "containers", 0, "env").([]any) {
		name, value := at(v, "name").(string), "pod-1"
		if strings.HasSuffix(name, "_FILE") {
			value = secret + name
			if err := os.WriteFile(value, []byte("redis://redis.example:6379 or thirty-two bytes and more\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv(name, value)
	}
	if err := os.WriteFile(os.Getenv("WSD_REDIS_URL_FILE"), []byte("redis://redis.example:6379\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, log, code := wsdproc.Run(t, "", "config", "check", "--config", "../../deploy/kubernetes/base/wsd.yaml")
	if code != 0 || strings.Contains(log, "WARN") {
		t.Errorf("exit code %d\n%s%s", code, out, log)
	}
}
