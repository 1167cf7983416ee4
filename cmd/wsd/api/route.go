package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// route is one path of the API.
type route struct {
	method, path string
	status       int      // of a success; 0: 200
	query        []string // parameters that it knows
	body         any      // a pointer to what its body is decoded into; nil: there is none
	idempotent   bool     // takes an idempotency key
	// One of these: decode reads the body into what run gets; raw answers itself.
	run func(ctx context.Context, r *http.Request, body []byte) (any, error)
	raw http.HandlerFunc
}

// post is a route whose body is a Req in JSON.
func post[Req any](path string, fn func(ctx context.Context, req *Req) (any, error)) *route {
	return &route{method: http.MethodPost, path: path, body: new(Req), run: func(ctx context.Context, _ *http.Request, body []byte) (any, error) {
		req := new(Req)
		if err := decode(body, req); err != nil {
			return nil, err
		}
		return fn(ctx, req)
	}}
}

// get is a route that knows the query's parameters.
func get(path string, fn func(ctx context.Context, r *http.Request, query url.Values) (any, error), query ...string) *route {
	return &route{method: http.MethodGet, path: path, query: query, run: func(ctx context.Context, r *http.Request, _ []byte) (any, error) {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, badRequest("the query is malformed")
		}
		for name, all := range values {
			if !slices.Contains(query, name) {
				return nil, badRequest("the query has a parameter %q: known are %s", name, strings.Join(query, ", "))
			}
			if len(all) > 1 {
				return nil, badRequest("the query has %q more than once", name)
			}
		}
		return fn(ctx, r, values)
	}}
}

func (r *route) once() *route                { r.idempotent = true; return r }
func (r *route) answering(status int) *route { r.status = status; return r }

// serve makes a route's handler.
func (a *API) serve(r *route) http.Handler {
	c := a.counter(r.path)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { c.observe(rec.status, time.Since(start)) }()
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler {
				a.opts.Logger.Error("a request of the HTTP API panicked", "route", r.path, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				writeError(rec, &Error{Status: http.StatusInternalServerError, Code: CodeInternal, Message: "internal error"})
			}
		}()
		if r.method != "" && req.Method != r.method && !(r.method == http.MethodGet && req.Method == http.MethodHead) {
			rec.Header().Set("Allow", allow(r.method))
			writeError(rec, &Error{Status: http.StatusMethodNotAllowed, Code: CodeMethod, Message: "use " + r.method})
			return
		}
		if r.raw != nil {
			r.raw(rec, req)
			return
		}
		select {
		case a.inFlight <- struct{}{}:
			defer func() { <-a.inFlight }()
		default:
			writeError(rec, &Error{Status: http.StatusTooManyRequests, Code: CodeLimit, Message: fmt.Sprintf("%d requests are being carried out: try again", maxInFlight)})
			return
		}
		a.answer(rec, req, r)
	})
}

// allow is the Allow field of a route.
func allow(method string) string {
	if method == http.MethodGet {
		return "GET, HEAD"
	}
	return method
}

// answer carries a request out.
func (a *API) answer(w http.ResponseWriter, req *http.Request, r *route) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = a.readBody(w, req); err != nil {
			writeError(w, asError(err))
			return
		}
	}
	run := func() reply { return r.reply(req.Context(), req, body) }
	var out reply
	if r.idempotent {
		out = a.onlyOnce(req, r, body, run)
	} else {
		out = run()
	}
	if out.replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	if out.err != nil {
		writeError(w, out.err)
		return
	}
	writeBody(w, out.status, out.body)
}

// reply is what a request comes to: err, or a status with a body of JSON.
type reply struct {
	status   int
	body     []byte
	err      *Error
	replayed bool // the answer of an earlier request
}

// reply runs the route.
func (r *route) reply(ctx context.Context, req *http.Request, body []byte) reply {
	v, err := r.run(ctx, req, body)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(v); err == nil {
			status := r.status
			if status == 0 {
				status = http.StatusOK
			}
			return reply{status: status, body: text}
		}
		err = &Error{Status: http.StatusInternalServerError, Code: CodeInternal, Message: "the answer can't be written"}
	}
	return reply{err: asError(err)}
}

// readBody reads a body of JSON.
func (a *API) readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	// Also keeps pages of other sites away: they can't send this type unasked.
	kind, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Code: CodeContentType, Message: "want Content-Type: application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, a.opts.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: CodeTooLarge, Message: fmt.Sprintf("a body of at most %d bytes, please: --api-max-body", a.opts.MaxBody)}
	case err != nil:
		return nil, badRequest("the body could not be read")
	case !utf8.Valid(body):
		return nil, badRequest("the body is not UTF-8")
	}
	return body, nil
}

// decode reads one JSON value of known fields.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest("the body is not as described in /v1/openapi.yaml: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest("the body goes on behind its JSON value")
	}
	return nil
}

// number reads a parameter of the query between 1 and most.
func number(query url.Values, name string, def, most int) (int, error) {
	if !query.Has(name) {
		return def, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < 1 || n > most {
		return 0, badRequest("%s: want a number from 1 to %d", name, most)
	}
	return n, nil
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status  int
	written bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.written {
		r.status, r.written = status, true
		r.ResponseWriter.WriteHeader(status)
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.written = true
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
