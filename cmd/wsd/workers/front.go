package workers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const (
	// askTimeout bounds a question to a worker's admin listener.
	askTimeout = 3 * time.Second
	// maxAnswer bounds an answer that is merged with others, in bytes.
	maxAnswer = 16 << 20
	// maxBody bounds a body that decides where a request goes, in bytes.
	maxBody = 1 << 20
	// maxScrapes bounds the scrapes at the same time.
	maxScrapes = 4
)

// whichWorker is the query parameter that names the worker a request is for: by its
// number, or its server id.
const whichWorker = "worker"

// workerField tells which worker has answered.
const workerField = "X-Wsd-Worker"

// Front answers for all workers at the parent's admin listener.
type Front struct {
	s      *Supervisor
	http   *http.Client
	proxy  *httputil.ReverseProxy
	own    prometheus.Gatherer
	merge  sync.Mutex // of one scrape from its questions to their sums
	merger merger
}

// NewFront makes one. own are the parent's own metrics. The caller closes it.
func NewFront(s *Supervisor, own prometheus.Gatherer) *Front {
	f := &Front{s: s, own: own}
	transport := &http.Transport{
		DisableCompression:  true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     30 * time.Second,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, _ := strings.Cut(address, ":")
			n, err := strconv.Atoi(host)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, "unix", s.AdminSocket(n))
		},
	}
	f.http = &http.Client{Transport: transport}
	f.proxy = &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {
			n, _ := r.In.Context().Value(workerKey{}).(int)
			r.Out.URL.Scheme, r.Out.URL.Host = "http", strconv.Itoa(n)
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = withoutWorker(r.In.URL.RawQuery)
			r.Out.Header.Del("Authorization") // meant for the parent
			r.Out.Header.Del("X-Api-Key")
		},
		ModifyResponse: func(r *http.Response) error {
			if n, ok := r.Request.Context().Value(workerKey{}).(int); ok {
				r.Header.Set(workerField, ID(s.opts.ServerID, n))
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			fail(w, http.StatusBadGateway, "unavailable", "the worker does not answer: "+err.Error())
		},
	}
	return f
}

// workerKey is the number of the worker that a request goes to.
type workerKey struct{}

// Close gives connections back.
func (f *Front) Close() { f.http.CloseIdleConnections() }

// Register registers the routes.
func (f *Front) Register(mux *http.ServeMux) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.GathererFunc(f.gather),
		promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes}))
	mux.HandleFunc("GET /v1/workers", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, List{f.s.opts.ServerID, f.s.Infos()})
	})
	for path, merge := range map[string]func(parts []told, limit int) any{
		"/v1/connections": mergeConnections, "/v1/rooms": mergeCounts("rooms", "members"), "/v1/topics": mergeCounts("topics", "subscribers"),
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { f.list(w, r, merge) })
	}
	mux.HandleFunc("GET /v1/connections/{id}", f.connection)
	mux.HandleFunc("POST /v1/disconnect", f.disconnect)
	mux.HandleFunc("POST /v1/drain", f.drain)
	mux.HandleFunc("/", f.any)
}

// RegisterOpen registers those that need no token.
func (f *Front) RegisterOpen(mux *http.ServeMux) {
	mux.HandleFunc("GET /health", f.health)
	mux.HandleFunc("GET /livez", f.live)
	mux.HandleFunc("GET /readyz", f.ready)
	// The dashboard's page has no data of its own.
	mux.HandleFunc("GET /{$}", f.any)
}

// fail answers as the HTTP API does.
func fail(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func answer(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// up are the numbers of the workers that serve.
func (f *Front) up() []int {
	var all []int
	for _, i := range f.s.Infos() {
		if i.Up {
			all = append(all, i.Index)
		}
	}
	return all
}

// chosen is the worker that a request names, 0 for none. ok is false when there is
// no such worker, which is answered.
func (f *Front) chosen(w http.ResponseWriter, r *http.Request) (n int, ok bool) {
	q := r.URL.Query()
	if !q.Has(whichWorker) {
		return 0, true
	}
	name := q.Get(whichWorker)
	for _, i := range f.s.Infos() {
		if name == i.ID || name == strconv.Itoa(i.Index) {
			return i.Index, true
		}
	}
	fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("worker %q: there are 1 to %d", name, f.s.opts.Workers))
	return 0, false
}

func withoutWorker(rawQuery string) string {
	q, err := url.ParseQuery(rawQuery)
	if err != nil || !q.Has(whichWorker) {
		return rawQuery
	}
	q.Del(whichWorker)
	return q.Encode()
}

// to has a worker answer.
func (f *Front) to(n int, w http.ResponseWriter, r *http.Request) {
	f.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), workerKey{}, n)))
}

// any has the worker answer that is named, or the first that serves: always the same
// one while it lives.
func (f *Front) any(w http.ResponseWriter, r *http.Request) {
	n, ok := f.chosen(w, r)
	if !ok {
		return
	}
	if n == 0 {
		up := f.up()
		if len(up) == 0 {
			fail(w, http.StatusServiceUnavailable, "unavailable", "no worker serves")
			return
		}
		n = up[0]
	}
	f.to(n, w, r)
}

// told is one worker's answer.
type told struct {
	worker int
	status int
	body   []byte
	header http.Header
	err    error
}

// ask asks workers the same, at the same time.
func (f *Front) ask(ctx context.Context, method, target string, body []byte, header http.Header, of []int) []told {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	all := make([]told, len(of))
	var wg sync.WaitGroup
	for i, n := range of {
		wg.Go(func() { all[i] = f.askOne(ctx, method, target, body, header, n) })
	}
	wg.Wait()
	return all
}

func (f *Front) askOne(ctx context.Context, method, target string, body []byte, header http.Header, n int) told {
	p := told{worker: n}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+strconv.Itoa(n)+target, bytes.NewReader(body))
	if err != nil {
		p.err = err
		return p
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Host = "localhost"
	resp, err := f.http.Do(req)
	if err != nil {
		p.err = err
		return p
	}
	defer resp.Body.Close()
	p.status, p.header = resp.StatusCode, resp.Header
	p.body, p.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if len(p.body) > maxAnswer {
		p.err = errors.New("the answer is too long")
	}
	return p
}

// list merges the lists of all workers, unless one is named. A worker that does not
// answer makes the whole a failure: part of the truth would look like all of it.
func (f *Front) list(w http.ResponseWriter, r *http.Request, merge func([]told, int) any) {
	n, ok := f.chosen(w, r)
	if !ok {
		return
	}
	if n != 0 {
		f.to(n, w, r)
		return
	}
	parts := f.ask(r.Context(), http.MethodGet, r.URL.RequestURI(), nil, nil, f.up())
	if len(parts) == 0 {
		fail(w, http.StatusServiceUnavailable, "unavailable", "no worker serves")
		return
	}
	if f.failed(w, parts) {
		return
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		limit = defaultLimit
	}
	out, _ := merge(parts, limit).(map[string]any)
	out["server"] = f.s.opts.ServerID
	answer(w, http.StatusOK, out)
}

// defaultLimit is the HTTP API's.
const defaultLimit = 100

// passBack answers as a worker did.
func passBack(w http.ResponseWriter, p told) {
	w.Header().Set("Content-Type", p.header.Get("Content-Type"))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body) // the client may be gone
}

// decoded is a list as JSON, with numbers as they were sent.
func decoded(p told) map[string]any {
	d := json.NewDecoder(bytes.NewReader(p.body))
	d.UseNumber()
	var v map[string]any
	_ = d.Decode(&v) // our own program's
	return v
}

func number(v any) int {
	n, _ := v.(json.Number)
	i, _ := n.Int64()
	return int(i)
}

// mergeConnections joins connections; their ids get the worker's number, as in r5@2.
func mergeConnections(parts []told, limit int) any {
	out := map[string]any{"total": 0, "matching": 0}
	all := []any{}
	for _, p := range parts {
		v := decoded(p)
		for _, key := range []string{"total", "matching"} {
			out[key] = out[key].(int) + number(v[key])
		}
		some, _ := v["connections"].([]any)
		for _, x := range some {
			if c, ok := x.(map[string]any); ok {
				c["id"] = fmt.Sprintf("%v@%d", c["id"], p.worker)
				all = append(all, c)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b any) int {
		return cmp.Compare(number(b.(map[string]any)["buffered"]), number(a.(map[string]any)["buffered"]))
	})
	out["connections"] = all[:min(len(all), limit)]
	return out
}

// mergeCounts joins the items of a list whose texts are the same, and adds up what
// count names. A worker tells its largest only, so a sum may be too small.
func mergeCounts(list, count string) func([]told, int) any {
	return func(parts []told, limit int) any {
		byTexts := map[string]map[string]any{}
		all := []map[string]any{}
		out := map[string]any{}
		for _, p := range parts {
			v := decoded(p)
			if total, ok := v["total"]; ok {
				sum, _ := out["total"].(int)
				out["total"] = sum + number(total) // one that several have counts for each
			}
			some, _ := v[list].([]any)
			for _, x := range some {
				item, ok := x.(map[string]any)
				if !ok {
					continue
				}
				n := number(item[count])
				delete(item, count)
				key, _ := json.Marshal(item)
				if byTexts[string(key)] == nil {
					byTexts[string(key)] = item
					all = append(all, item)
					item["\x00"] = 0
				}
				first := byTexts[string(key)]
				first["\x00"] = first["\x00"].(int) + n
			}
		}
		for _, item := range all {
			item[count] = item["\x00"]
			delete(item, "\x00")
		}
		slices.SortStableFunc(all, func(a, b map[string]any) int { return cmp.Compare(b[count].(int), a[count].(int)) })
		out[list] = all[:min(len(all), limit)]
		return out
	}
}

// place splits an id of a merged list: r5@2 is r5 of worker 2.
func (f *Front) place(id string) (rest string, worker int) {
	rest, number, ok := strings.Cut(id, "@")
	if n, err := strconv.Atoi(number); ok && err == nil && n >= 1 && n <= f.s.opts.Workers {
		return rest, n
	}
	return id, 0
}

// connection describes one connection of a merged list.
func (f *Front) connection(w http.ResponseWriter, r *http.Request) {
	id, n := f.place(r.PathValue("id"))
	if n == 0 {
		if n, ok := f.chosen(w, r); !ok {
			return
		} else if n == 0 {
			fail(w, http.StatusBadRequest, "bad_request", "want an id of /v1/connections, such as r5@2, or ?worker=")
			return
		}
		f.any(w, r)
		return
	}
	r.URL.Path, r.URL.RawPath = "/v1/connections/"+id, ""
	f.to(n, w, r)
}

// disconnect sends a request to the worker that has the connection; one that is about
// this server only to all workers; any other to one, which tells the cluster.
func (f *Front) disconnect(w http.ResponseWriter, r *http.Request) {
	n, ok := f.chosen(w, r)
	if !ok {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "too_large", "the body could not be read")
		return
	}
	var req map[string]any
	if json.Unmarshal(body, &req) == nil && n == 0 {
		if given, ok := req["connection"].(string); ok && given != "" {
			var id string
			if id, n = f.place(given); n == 0 {
				fail(w, http.StatusBadRequest, "bad_request", "want an id of /v1/connections, such as r5@2, or ?worker=")
				return
			}
			req["connection"] = id
			body, _ = json.Marshal(req) // it was read from JSON
		}
		if local, _ := req["local"].(bool); local && n == 0 {
			f.disconnectLocal(w, r, body)
			return
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if n != 0 {
		f.to(n, w, r)
		return
	}
	f.any(w, r)
}

func (f *Front) disconnectLocal(w http.ResponseWriter, r *http.Request, body []byte) {
	parts := f.ask(r.Context(), http.MethodPost, r.URL.RequestURI(), body, http.Header{"Content-Type": r.Header["Content-Type"]}, f.up())
	local := 0
	if f.failed(w, parts) {
		return
	}
	for _, p := range parts {
		local += number(decoded(p)["local"])
	}
	answer(w, http.StatusOK, map[string]any{"local": local, "cluster": false})
}

// drain drains one worker, which is then started again, or ends all.
func (f *Front) drain(w http.ResponseWriter, r *http.Request) {
	n, ok := f.chosen(w, r)
	switch {
	case !ok:
	case n != 0:
		f.to(n, w, r)
	default:
		connections := f.s.Totals().Connections
		f.s.Stop()
		answer(w, http.StatusOK, map[string]any{"draining": true, "connections": connections})
	}
}

// gather scrapes all workers.
func (f *Front) gather() ([]*dto.MetricFamily, error) {
	f.merge.Lock()
	defer f.merge.Unlock()
	pids, now := map[int]int{}, map[int][]*dto.MetricFamily{}
	var up []int
	for _, i := range f.s.Infos() {
		if i.PID != 0 {
			pids[i.Index] = i.PID
		}
		if i.Up {
			up = append(up, i.Index)
		}
	}
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	parts := f.ask(context.Background(), http.MethodGet, "/metrics", nil, http.Header{"Accept": {string(format)}}, up)
	for _, p := range parts {
		if p.err != nil || p.status != http.StatusOK {
			f.s.opts.Logger.Warn("a worker's metrics are old: it does not answer", "worker", ID(f.s.opts.ServerID, p.worker))
			continue
		}
		d := expfmt.NewDecoder(bytes.NewReader(p.body), expfmt.ResponseFormat(p.header))
		for {
			family := new(dto.MetricFamily)
			if err := d.Decode(family); err != nil {
				break // the end
			}
			now[p.worker] = append(now[p.worker], family)
		}
	}
	for _, i := range f.s.Infos() {
		if i.PID != pids[i.Index] {
			delete(now, i.Index) // which of the two has answered is not known
		}
	}
	own, err := f.own.Gather()
	return f.merger.add(now, pids, own), err
}

// health is the answer to GET /health: that of a single server.
func (f *Front) health(w http.ResponseWriter, _ *http.Request) {
	t := f.s.Totals()
	status, code := "ok", http.StatusOK
	draining := f.s.isStopping()
	switch {
	case draining:
		status, code = "draining", http.StatusServiceUnavailable
	case t.Up == 0:
		status, code = "down", http.StatusServiceUnavailable
	case !t.Accepting:
		status = "full"
	}
	answer(w, code, map[string]any{"status": status, "connections": t.Connections, "limit": t.Limit,
		"accepting": t.Accepting && !draining, "draining": draining, "workers": t.Workers, "workers_up": t.Up})
}

// workerHealth is what /livez and /readyz tell of a worker.
type workerHealth struct {
	Worker  string          `json:"worker"`
	Status  string          `json:"status"` // up, starting, crashing, or silent
	Answer  json.RawMessage `json:"answer,omitempty"`
	well    bool
	serving bool
}

// askHealth asks each worker that serves.
func (f *Front) askHealth(ctx context.Context, path string) []workerHealth {
	infos := f.s.Infos()
	parts := map[int]told{}
	for _, p := range f.ask(ctx, http.MethodGet, path, nil, nil, f.up()) {
		parts[p.worker] = p
	}
	var all []workerHealth
	for _, i := range infos {
		h := workerHealth{Worker: i.ID, Status: "starting"}
		p, asked := parts[i.Index]
		switch {
		case i.Crashing:
			h.Status = "crashing"
		case asked && p.err != nil:
			h.Status = "silent"
		case asked:
			h.Status, h.serving, h.well = "up", true, p.status == http.StatusOK
			if json.Valid(p.body) {
				h.Answer = bytes.TrimSpace(p.body)
			}
		}
		all = append(all, h)
	}
	return all
}

// live is red when a worker hangs, or ends again and again. One that is being started
// again is looked after.
func (f *Front) live(w http.ResponseWriter, r *http.Request) {
	all := f.askHealth(r.Context(), "/livez")
	status, code := "ok", http.StatusOK
	for _, h := range all {
		switch {
		case h.Status == "crashing":
			status, code = "crashing", http.StatusServiceUnavailable
		case h.Status == "silent", h.serving && !h.well:
			status, code = "hung", http.StatusServiceUnavailable
		}
	}
	answer(w, code, map[string]any{"status": status, "workers": all})
}

// ready is green when a worker is ready, and wsd does not drain.
func (f *Front) ready(w http.ResponseWriter, r *http.Request) {
	all := f.askHealth(r.Context(), "/readyz")
	status, code := "unready", http.StatusServiceUnavailable
	for _, h := range all {
		if h.well && !f.s.isStopping() {
			status, code = "ready", http.StatusOK
		}
	}
	answer(w, code, map[string]any{"status": status, "workers": all})
}

// failed tells the client of the first worker that has not done what all were asked
// for, if there is one.
func (f *Front) failed(w http.ResponseWriter, parts []told) bool {
	for _, p := range parts {
		switch {
		case p.err != nil:
			fail(w, http.StatusBadGateway, "unavailable", ID(f.s.opts.ServerID, p.worker)+" does not answer: "+p.err.Error())
			return true
		case p.status != http.StatusOK:
			passBack(w, p)
			return true
		}
	}
	return false
}
