package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// body is the request of counting's route.
type body struct {
	N  int    `json:"n"`
	ID string `json:"id,omitempty"`
}

// counting is an API with one route, which does what fn does.
func counting(t *testing.T, fn func(n int) (any, error)) (*API, func(header, text string) *httptest.ResponseRecorder) {
	t.Helper()
	a := &API{
		opts:     Options{MaxBody: 1 << 20, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))},
		answers:  newOwnAnswers(time.Minute),
		inFlight: make(chan struct{}, maxInFlight),
	}
	a.routes = []*route{post("/v1/count", func(_ context.Context, b *body) (any, error) { return fn(b.N) }).once()}
	mux := http.NewServeMux()
	a.Register(mux)
	return a, func(key, text string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, "/v1/count", strings.NewReader(text))
		req.Header.Set("Content-Type", "application/json")
		if key != "" {
			req.Header.Set("Idempotency-Key", key)
		}
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, req)
		return rec
	}
}

func TestOnceWhileUnderWay(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	_, ask := counting(t, func(n int) (any, error) {
		entered <- struct{}{}
		<-leave
		return n, nil
	})
	var first *httptest.ResponseRecorder
	var wg sync.WaitGroup
	wg.Go(func() { first = ask("k", `{"n":1}`) })
	<-entered
	for range 3 {
		if rec := ask("k", `{"n":1}`); rec.Code != http.StatusConflict || !strings.Contains(rec.Body.String(), "under way") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if rec := ask("k", `{"n":2}`); rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("another request: %d %s", rec.Code, rec.Body)
	}
	close(leave)
	wg.Wait()
	if first.Code != http.StatusOK || first.Body.String() != "1\n" {
		t.Errorf("%d %s", first.Code, first.Body)
	}
	if rec := ask("k", `{"n":1}`); rec.Code != http.StatusOK || rec.Body.String() != "1\n" || rec.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// A failure is tried again under its key, but not what was done in part, nor what
// panicked after it has begun to be done by another.
func TestOnceAfterFailures(t *testing.T) {
	calls := 0
	part := 2
	a, ask := counting(t, func(n int) (any, error) {
		calls++
		switch n {
		case 1:
			return nil, unavailable("away")
		case 2:
			e := unavailable("half-way")
			e.Published = &part
			return nil, e
		case 3:
			panic("a mistake")
		}
		return strings.Repeat("x", maxKept), nil
	})
	for i, want := range []int{503, 503, 500, 200} {
		n := i + 1
		for range 2 {
			rec := ask(fmt.Sprint("k", n), fmt.Sprintf(`{"n":%d}`, n))
			if rec.Code != want {
				t.Errorf("%d: %d %.80s, want %d", n, rec.Code, rec.Body, want)
			}
			if n == 4 {
				want = 409 // too long to be kept
			}
		}
	}
	if calls != 2+1+2+1 {
		t.Errorf("%d calls", calls)
	}
	var e struct{ Error Error }
	if json.Unmarshal(ask("k2", `{"n":2}`).Body.Bytes(), &e); e.Error.Published == nil || *e.Error.Published != 2 || a.replays.Load() != 3 {
		t.Errorf("%+v, %d replays", e, a.replays.Load())
	}
}

func TestOwnAnswersAreBounded(t *testing.T) {
	o := newOwnAnswers(time.Minute)
	now := time.Now()
	o.now = func() time.Time { return now }
	ctx := context.Background()
	do := func(key string, answer *note) (before *note) {
		t.Helper()
		n := &note{Request: "r", Claim: "c"}
		before, err := o.claim(ctx, key, n)
		if err != nil {
			t.Fatal(err)
		}
		if before == nil {
			if err := o.settle(ctx, key, n, answer); err != nil {
				t.Fatal(err)
			}
		}
		return before
	}
	small := &note{Request: "r", Status: 200}
	for i := range 2 * ownKeys {
		do(fmt.Sprint(i), small)
	}
	if len(o.byKey) != ownKeys || o.order.Len() != ownKeys {
		t.Errorf("%d keys, %d in order", len(o.byKey), o.order.Len())
	}
	if do("0", small) != nil || do(fmt.Sprint(2*ownKeys-1), small) != small {
		t.Error("the oldest is kept, or the newest is not")
	}
	large := &note{Request: "r", Status: 200, Body: make([]byte, maxKept)}
	for i := range 4 * ownBytes / maxKept {
		do(fmt.Sprint("large", i), large)
	}
	if o.bytes > ownBytes || len(o.byKey) != o.order.Len() {
		t.Errorf("%d bytes", o.bytes)
	}
	do("x", small)
	now = now.Add(59 * time.Second)
	if do("x", small) != small {
		t.Error("forgotten too early")
	}
	now = now.Add(2 * time.Second)
	if do("x", small) != nil {
		t.Error("remembered too long")
	}
	for key := range o.byKey {
		o.removeLocked(o.byKey[key])
	}
	if o.bytes != 0 || o.order.Len() != 0 {
		t.Errorf("%d bytes of nothing", o.bytes)
	}
}

func TestRequestsAreBoundedAndCounted(t *testing.T) {
	a, ask := counting(t, func(int) (any, error) { return 1, nil })
	for range maxInFlight {
		a.inFlight <- struct{}{}
	}
	if rec := ask("", `{}`); rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	<-a.inFlight
	if rec := ask("", `{}`); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	var set metrics.Set
	a.Count(&set)
	rec := httptest.NewRecorder()
	set.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`wsd_api_requests_total{code="200",route="/v1/count"} 1`,
		`wsd_api_requests_total{code="429",route="/v1/count"} 1`,
		`wsd_api_request_duration_seconds_count{route="/v1/count"} 2`,
		`wsd_api_replays_total 0`,
	} {
		if !strings.Contains(rec.Body.String(), line+"\n") {
			t.Errorf("want %s in\n%s", line, rec.Body)
		}
	}
}
