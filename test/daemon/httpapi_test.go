package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// httpAPI asks a server's HTTP API, and holds each answer against the description
// that the server gives.
type httpAPI struct {
	t      *testing.T
	admin  string
	token  string
	doc    *openapi3.T
	router routers.Router
}

// apiOf is the HTTP API of a server, whose token is none as a rule.
func apiOf(t *testing.T, s *wsdproc.Process, token string) *httpAPI {
	t.Helper()
	a := &httpAPI{t: t, admin: s.Admin, token: token}
	res, body := a.send(http.MethodGet, "/v1/openapi.yaml", nil, "")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/yaml" {
		t.Fatalf("the description: %d %v", res.StatusCode, res.Header)
	}
	var err error
	if a.doc, err = openapi3.NewLoader().LoadFromData(body); err != nil {
		t.Fatal(err)
	}
	if err := a.doc.Validate(context.Background()); err != nil {
		t.Fatalf("the description is not valid: %v", err)
	}
	a.doc.Servers = nil // any
	if a.router, err = legacy.NewRouter(a.doc); err != nil {
		t.Fatal(err)
	}
	return a
}

// send sends a request and reads the answer. A body is sent as JSON unless header
// says otherwise.
func (a *httpAPI) send(method, path string, header http.Header, body string) (*http.Response, []byte) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.admin+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	for name, values := range header {
		if req.Header[name] = values; name == "Host" {
			req.Host = values[0]
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return res, text
}

// ask is send, whose answer must have a status, and be as described. into, if not
// nil, gets the answer.
func (a *httpAPI) ask(status int, method, path string, header http.Header, body string, into any) http.Header {
	a.t.Helper()
	res, text := a.send(method, path, header, body)
	if res.StatusCode != status {
		a.t.Errorf("%s %s %.200s: %d, want %d: %s", method, path, body, res.StatusCode, status, text)
	}
	a.asDescribed(method, path, res, text)
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			a.t.Errorf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return res.Header
}

// asDescribed holds an answer against the description.
func (a *httpAPI) asDescribed(method, path string, res *http.Response, body []byte) {
	a.t.Helper()
	req := httptest.NewRequest(method, path, nil)
	route, params, err := a.router.FindRoute(req)
	if err != nil {
		// Of a method or a path that is not described nothing but errors is.
		var failure struct {
			Error struct{ Code, Message string }
		}
		if json.Unmarshal(body, &failure) != nil || failure.Error.Code == "" || failure.Error.Message == "" {
			a.t.Errorf("%s %s: %d %s", method, path, res.StatusCode, body)
		}
		return
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		a.t.Errorf("%s %s: the answer is not as described: %v", method, path, err)
	}
}

// post is ask for a POST without more.
func (a *httpAPI) post(status int, path, body string, into any) http.Header {
	a.t.Helper()
	return a.ask(status, http.MethodPost, path, nil, body, into)
}

// get is ask for a GET.
func (a *httpAPI) get(status int, path string, into any) {
	a.t.Helper()
	a.ask(status, http.MethodGet, path, nil, "", into)
}

// refused is an error's code.
type refused struct {
	Error struct {
		Code, Message string
		Published     *int
	}
}

// failed is post for a request that fails with a code.
func (a *httpAPI) failed(status int, code, path, body string) refused {
	a.t.Helper()
	var r refused
	a.post(status, path, body, &r)
	if r.Error.Code != code {
		a.t.Errorf("POST %s %.200s: code %q, want %q", path, body, r.Error.Code, code)
	}
	return r
}

// subscribe connects to a topic.
func subscribe(t *testing.T, address, topic string) *rawws.Conn {
	t.Helper()
	c, err := rawws.Open(address, "/topics/"+topic, "")
	if err != nil {
		t.Fatal(err)
	}
	c.Patience = patience
	t.Cleanup(func() { c.Conn.Close() })
	return c
}

// expectEvents reads the next messages of a connection.
func expectEvents(t *testing.T, c *rawws.Conn, want ...string) {
	t.Helper()
	for _, w := range want {
		e, err := c.Next()
		if err != nil || e.String() != w {
			t.Fatalf("%v (%v), want %s", e, err, w)
		}
	}
}

func TestAPIToken(t *testing.T) {
	s := wsdproc.Start(t, "serve", "--admin-token", "open sesame")
	a := apiOf(t, s, "open sesame")
	a.get(200, "/v1/nodes", nil)
	a.token = ""
	for _, h := range []http.Header{
		nil,
		{"Authorization": {"Bearer other"}},
		{"Authorization": {"Basic open sesame"}},
		{"X-Api-Key": {"other"}},
		{"X-Api-Key": {"open sesame"}, "Authorization": {"Bearer other"}},
	} {
		var r refused
		if a.ask(401, "GET", "/v1/nodes", h, "", &r); r.Error.Code != "unauthorized" {
			t.Errorf("%v: %+v", h, r)
		}
		a.ask(401, "POST", "/v1/drain", h, "{}", nil)
	}
	a.ask(200, "GET", "/v1/nodes", http.Header{"Authorization": {"bearer open sesame"}}, "", nil)
	a.ask(200, "GET", "/v1/nodes", http.Header{"X-Api-Key": {"open sesame"}}, "", nil)
	s.Alive(t)
}

// A page of another site, in a browser of this machine, can do nothing.
func TestAPIIsNotForOtherSites(t *testing.T) {
	s := wsdproc.Start(t, "serve")
	a := apiOf(t, s, "")
	const publication = `{"topic":"t","data":"x"}`
	c := subscribe(t, s.Addr, "t")
	for _, h := range []http.Header{
		{"Origin": {"http://evil.example"}},
		{"Origin": {"null"}},
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Host": {"evil.example:9090"}}, // a name that leads here: DNS rebinding
		{"Host": {"127.0.0.1.evil.example"}},
	} {
		var r refused
		if a.ask(403, "POST", "/v1/publish", h, publication, &r); r.Error.Code != "forbidden" {
			t.Errorf("%v: %+v", h, r)
		}
	}
	a.ask(403, "GET", "/v1/connections", http.Header{"Host": {"evil.example"}}, "", nil)
	// What a form can send unasked.
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		a.ask(415, "POST", "/v1/publish", http.Header{"Content-Type": {kind}}, publication, nil)
	}
	a.ask(200, "POST", "/v1/publish", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Host": {"localhost:9090"}}, publication, nil)
	expectEvents(t, c, `text "x"`) // that one alone
	a.post(200, "/v1/publish", `{"topic":"t","data":"y"}`, nil)
	expectEvents(t, c, `text "y"`)
}

// What is not described is refused, and how is described.
func TestAPIRefuses(t *testing.T) {
	s := wsdproc.Start(t, "serve", "--api-max-body", "4KiB")
	a := apiOf(t, s, "")
	for path, item := range a.doc.Paths.Map() {
		path = strings.ReplaceAll(path, "{id}", "r1")
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
			if item.GetOperation(method) != nil {
				continue
			}
			body := ""
			if method != "GET" {
				body = "{}"
			}
			allow := a.ask(405, method, path, nil, body, nil).Get("Allow")
			for m := range item.Operations() {
				if !slices.Contains(strings.Split(allow, ", "), m) {
					t.Errorf("%s %s: Allow is %q", method, path, allow)
				}
			}
		}
	}
	a.get(404, "/v1/nothing", nil)
	a.get(404, "/v1/workers", nil)
	a.get(404, "/v1/", nil)
	for path, bodies := range map[string][]string{
		"/v1/publish": {
			``, `{}`, `[]`, `{`, `null`, `{"topic":"t"}`, `{"data":1}`, `{"topic":"","data":1}`, `{"topic":"t","data":1,"base64":""}`,
			`{"topic":"t","base64":"!"}`, `{"topic":"t","data":1,"more":2}`, `{"topic":"t","data":1}{}`, `{"topic":1,"data":1}`,
			`{"topic":"` + strings.Repeat("x", 1025) + `","data":1}`, `{"topic":"t","data":"` + "\xff" + `"}`,
			`{"topic":"t","data":1,"id":"` + strings.Repeat("x", 129) + `"}`, `{"topic":"t","data":1,"id":"a\nb"}`,
		},
		"/v1/batch": {`{}`, `{"messages":[]}`, `{"messages":[{"topic":"t"}]}`, `{"messages":[{"topic":"t","data":1},{"data":1}]}`},
		"/v1/emit": {
			`{}`, `{"event":""}`, `{"event":"disconnect"}`, `{"event":"connect"}`, `{"event":"e","args":{}}`, `{"event":"e","rooms":"r"}`,
			`{"event":"e","user":"ann","rooms":["r"]}`, `{"event":"e","user":"connections"}`, `{"event":"e","ack":{"timeout":"1"}}`,
			`{"event":"e","ack":{"timeout":"-1s"}}`, `{"event":"e","ack":{"timeout":"61s"}}`, `{"event":"e","ack":{},"volatile":true}`,
			`{"event":"e","ack":{"wait":"1s"}}`,
		},
		"/v1/disconnect": {
			`{}`, `{"user":"a","room":"b"}`, `{"connection":"r1","revoke":true}`, `{"user":"a","nsp":"/"}`, `{"user":"a","code":1005}`,
			`{"user":"a","code":70000}`, `{"user":"a","revoke":true,"local":true}`, `{"user":"a","reason":"` + strings.Repeat("x", 124) + `"}`,
		},
		"/v1/drain": {`{"now":true}`, `[]`},
	} {
		for _, body := range bodies {
			header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
			var r refused
			if a.ask(400, "POST", path, header, body, &r); r.Error.Code != "bad_request" || r.Error.Message == "" {
				t.Errorf("POST %s %s: %+v", path, body, r)
			}
		}
	}
	for _, path := range []string{
		"/v1/connections?limit=0", "/v1/connections?limit=1001", "/v1/connections?limit=x", "/v1/connections?slow=yes",
		"/v1/connections?kind=tcp", "/v1/connections?nosuch=1", "/v1/connections?limit=1&limit=2", "/v1/rooms?limit=-1",
		"/v1/topics?nsp=/", "/v1/nodes?x", "/v1/overview?since=x", "/v1/overview?since=-1", "/v1/workers?x", "/v1/users/connections", "/v1/connections?%zz",
	} {
		a.get(400, path, nil)
	}
	for _, id := range []string{"r1", "r0", "rx", "s", "sAAAA", "x", "r18446744073709551616"} {
		a.get(404, "/v1/connections/"+id, nil)
		a.failed(404, "not_found", "/v1/disconnect", `{"connection":"`+id+`"}`)
	}
	a.get(404, "/v1/rooms?nsp=/nosuch", nil)
	a.failed(404, "not_found", "/v1/emit", `{"nsp":"/nosuch","event":"e"}`)
	a.failed(404, "not_found", "/v1/disconnect", `{"nsp":"/nosuch","room":"r"}`)
	a.failed(404, "not_found", "/v1/emit", `{"user":"nobody","event":"e"}`)
	a.failed(413, "too_large", "/v1/publish", `{"topic":"t","data":"`+strings.Repeat("x", 4<<10)+`"}`)
	a.ask(415, "POST", "/v1/publish", http.Header{"Content-Type": {"application/json; charset=latin1"}}, `{}`, nil)
	s.Alive(t)
}
