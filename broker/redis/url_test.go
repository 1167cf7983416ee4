package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestParseURLs(t *testing.T) {
	certs := testkit.NewCerts(t)
	for _, tt := range []struct {
		name string
		urls []string
		want Location
	}{
		{"host", []string{"redis://h"}, Location{Addrs: []string{"h:6379"}}},
		{"port and database", []string{"redis://h:1/2"}, Location{Addrs: []string{"h:1"}, DB: 2}},
		{"database as a parameter", []string{"redis://h:1?db=3"}, Location{Addrs: []string{"h:1"}, DB: 3}},
		{"slash at the end", []string{"redis://h:1/"}, Location{Addrs: []string{"h:1"}}},
		{"IPv6", []string{"redis://[::1]:7,[fe80::1]"}, Location{Mode: ClusterMode, Addrs: []string{"[::1]:7", "[fe80::1]:6379"}}},
		{"user and password", []string{"redis://u:p@h"}, Location{Addrs: []string{"h:6379"}, Username: "u", Password: "p"}},
		{"password only", []string{"redis://:p@h"}, Location{Addrs: []string{"h:6379"}, Password: "p"}},
		{"escaped", []string{"redis://u:%40%2F%3A%3F@h"}, Location{Addrs: []string{"h:6379"}, Username: "u", Password: "@/:?"}},
		{"@ in a password", []string{"redis://u:a@b@h"}, Location{Addrs: []string{"h:6379"}, Username: "u", Password: "a@b"}},
		{"several addresses", []string{"redis://a:1,b:2"}, Location{Mode: ClusterMode, Addrs: []string{"a:1", "b:2"}}},
		{"several URLs", []string{"redis://a:1", "redis://b:2"}, Location{Mode: ClusterMode, Addrs: []string{"a:1", "b:2"}}},
		{"cluster", []string{"redis+cluster://a"}, Location{Mode: ClusterMode, Addrs: []string{"a:6379"}}},
		{"upper case", []string{"REDIS://h"}, Location{Addrs: []string{"h:6379"}}},
		{
			"sentinel", []string{"redis+sentinel://u:p@a,b:2/m/3?sentinel_user=su&sentinel_password=sp"},
			Location{
				Mode: Sentinel, Addrs: []string{"a:26379", "b:2"}, Master: "m", DB: 3,
				Username: "u", Password: "p", SentinelUser: "su", SentinelSecret: "sp",
			},
		},
		{"unix", []string{"unix:///run/r.sock?db=1"}, Location{Unix: "/run/r.sock", DB: 1}},
		{"unix with a user", []string{"unix://u:p@/run/r.sock"}, Location{Unix: "/run/r.sock", Username: "u", Password: "p"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseURLs(tt.urls)
			if err != nil {
				t.Fatal(err)
			}
			if got.TLS != nil || fmt.Sprint(fields(got)) != fmt.Sprint(fields(tt.want)) {
				t.Errorf("got %v, want %v", fields(got), fields(tt.want))
			}
		})
	}
	t.Run("TLS", func(t *testing.T) {
		got, err := ParseURLs([]string{"rediss://h?ca=" + certs.CA + "&cert=" + certs.Cert + "&key=" + certs.Key + "&server_name=n&insecure_skip_verify=true"})
		if err != nil {
			t.Fatal(err)
		}
		c := got.TLS
		if c == nil || c.RootCAs == nil || len(c.Certificates) != 1 || c.ServerName != "n" || !c.InsecureSkipVerify {
			t.Errorf("got %+v", c)
		}
	})
}

// fields are a Location's, secrets included.
func fields(l Location) []any {
	return []any{l.Mode, strings.Join(l.Addrs, " "), l.Unix, l.DB, l.Master, l.Username, l.Password, l.SentinelUser, l.SentinelSecret}
}

func TestParseURLsRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		urls []string
	}{
		{"none", nil},
		{"empty", []string{""}},
		{"no scheme", []string{"h:6379"}},
		{"another scheme", []string{"http://h"}},
		{"no host", []string{"redis://"}},
		{"no host but a port", []string{"redis://:1"}},
		{"an empty address", []string{"redis://a,,b"}},
		{"a port that is none", []string{"redis://h:port"}},
		{"port 0", []string{"redis://h:0"}},
		{"a port too high", []string{"redis://h:65536"}},
		{"colon without a port", []string{"redis://h:"}},
		{"a database that is none", []string{"redis://h/x"}},
		{"a database below 0", []string{"redis://h/-1"}},
		{"a database of a Cluster", []string{"redis+cluster://h/1"}},
		{"a user without a password", []string{"redis://hunter2@h"}},
		{"bad escape", []string{"redis://u:hunter2%zz@h"}},
		{"spaces", []string{"redis://u:hunter2@h h"}},
		{"sentinel without a master", []string{"redis+sentinel://h"}},
		{"sentinel's user of a server", []string{"redis://h?sentinel_user=hunter2"}},
		{"a password with ?", []string{"redis://u:1?hunter2@h"}},
		{"an unknown parameter", []string{"redis://h?timeout=1"}},
		{"TLS parameter without TLS", []string{"redis://h?ca=x"}},
		{"no such file", []string{"rediss://h?ca=nowhere"}},
		{"cert without a key", []string{"rediss://h?cert=x"}},
		{"a switch that is none", []string{"rediss://h?insecure_skip_verify=perhaps"}},
		{"unix without a path", []string{"unix://"}},
		{"unix with a host", []string{"unix://h/s"}},
		{"two sockets", []string{"unix:///a", "unix:///b"}},
		{"a server and a socket", []string{"redis://h", "unix:///b"}},
		{"different users", []string{"redis://u:hunter2@a", "redis://b"}},
		{"different forms", []string{"redis://a", "redis+sentinel://b/m"}},
		{"with TLS and without", []string{"redis://a", "rediss://b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := ParseURLs(tt.urls)
			if err == nil {
				t.Fatalf("got %v", fields(l))
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestLocationHidesSecrets(t *testing.T) {
	l, err := ParseURLs([]string{"redis+sentinel://user:hunter2@a/m?sentinel_user=u&sentinel_password=hunter3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, l); strings.Contains(got, "hunter") || !strings.Contains(got, "a:26379") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// FuzzParseURLs: whatever is not refused can be dialled, and no error has what
// stood before an @.
func FuzzParseURLs(f *testing.F) {
	for _, s := range []string{"redis://u:p@h:1/2", "redis+sentinel://a,b/m/1?sentinel_user=x", "unix:///a?db=1", "rediss://[::1]", "redis+cluster://a,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "ca=") || strings.Contains(s, "cert=") {
			return // reads files
		}
		l, err := ParseURLs([]string{s})
		if err != nil {
			return
		}
		if (len(l.Addrs) == 0) == (l.Unix == "") || l.DB < 0 || (l.Mode == Sentinel) != (l.Master != "") {
			t.Errorf("%q: %v", s, fields(l))
		}
		again := "redis://" + strings.Join(l.Addrs, ",")
		if l.Unix == "" {
			if m, err := ParseURLs([]string{again}); err != nil || !slices.Equal(m.Addrs, l.Addrs) {
				t.Errorf("%q: addresses %q are not what they are written as: %v", s, l.Addrs, err)
			}
		}
	})
}
