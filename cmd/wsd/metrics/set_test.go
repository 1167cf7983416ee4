package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

// Scrapes at the same time, and the daemon's own readings between them, are each of
// one snapshot.
func TestScrapesThatOverlap(t *testing.T) {
	const scrapes, rounds = 8, 10
	var s metrics.Set
	now := 0 // the snapshot
	s.BeforeScrape(func() { now++ })
	read := func() float64 {
		runtime.Gosched() // somebody else may want to
		return float64(now)
	}
	s.Gauge("first", "First.", read)
	s.Gauge("second", "Second.", read)
	h := s.Handler()
	seen := make([]map[string]bool, scrapes+1)
	var all sync.WaitGroup
	for i := range seen {
		seen[i] = map[string]bool{}
		all.Go(func() {
			for range rounds {
				var first, second string
				if i == scrapes {
					r := s.Read(func(string) bool { return true })
					if len(r) != 2 || r[0].Value != r[1].Value {
						t.Errorf("readings %v", r)
					}
					continue
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
				body, _ := io.ReadAll(w.Body)
				for line := range strings.Lines(string(body)) {
					switch name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name {
					case "first":
						first = value
					case "second":
						second = value
					}
				}
				if w.Code != http.StatusOK || first == "" || first != second {
					t.Errorf("status %d: first is %q, second %q", w.Code, first, second)
				}
				if seen[i][first] {
					t.Errorf("snapshot %s was told twice", first)
				}
				seen[i][first] = true
			}
		})
	}
	all.Wait()
	told := map[string]bool{}
	for _, some := range seen {
		for value := range some {
			if told[value] {
				t.Errorf("two scrapes have told snapshot %s", value)
			}
			told[value] = true
		}
	}
}
