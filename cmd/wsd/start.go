package main

import (
	_ "embed"
	"html"
	"net/http"
	"strings"
)

// The parts of the start page and of the chat, each of which is served as one page.
var (
	//go:embed startpage/style.css
	startCSS string
	//go:embed startpage/start.html
	startHTML string
	//go:embed startpage/operator.html
	operatorHTML string
	//go:embed startpage/chat.html
	chatHTML string
	//go:embed startpage/chat.js
	chatJS string
)

// startRoutes serves the start page and the chat that it leads to.
func (s *server) startRoutes() {
	s.app.Handle("GET /{$}", http.HandlerFunc(s.serveStartPage))
	s.app.Handle("GET /chat", http.HandlerFunc(s.serveChat))
}

// serveStartPage answers GET /, so that somebody who looks knows what is here. Where
// the admin listener is, it tells on this machine only.
func (s *server) serveStartPage(w http.ResponseWriter, r *http.Request) {
	operator := ""
	// A worker's admin listener is its parent's affair.
	if a := s.adminAddr(); a != nil && a.Network() == "tcp" && isLoopbackName(hostName(r.Host)) {
		bearer := ""
		if s.AdminToken != "" || s.AdminTokenFile != "" {
			bearer = ` -H "Authorization: Bearer $TOKEN"`
		}
		operator = fill(operatorHTML, "admin", "http://"+s.adminText(), "bearer", bearer)
	}
	rule := "Anybody who reaches this address may connect."
	if s.identity.required() {
		rule = "Clients need a token."
	}
	secure := ""
	if s.trust.ofHTTP(r).secure {
		secure = "s"
	}
	page := fill(startHTML, "sio", s.sioFlags.SIOPath, "origin", "http"+secure+"://"+r.Host, "ws", "ws"+secure+"://"+r.Host, "rule", rule)
	page = strings.Replace(page, "{{operator}}", operator, 1)
	servePage(w, page, "")
}

// serveChat answers GET /chat.
func (s *server) serveChat(w http.ResponseWriter, _ *http.Request) {
	token := ""
	if s.identity.required() {
		token = "needed"
	}
	servePage(w, fill(chatHTML, "token", token), chatJS)
}

// fill puts texts, each behind its name, into a page's places.
func fill(page string, texts ...string) string {
	for i := 0; i+1 < len(texts); i += 2 {
		page = strings.ReplaceAll(page, "{{"+texts[i]+"}}", html.EscapeString(texts[i+1]))
	}
	return page
}

// servePage answers with a page that may use the start page's style, one script and
// its own server, and nothing else.
func servePage(w http.ResponseWriter, page, script string) {
	policy := "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src " + sourceHash(startCSS)
	if script != "" {
		policy += "; script-src " + sourceHash(script)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	page = strings.NewReplacer("{{style}}", startCSS, "{{script}}", script).Replace(page)
	_, _ = w.Write([]byte(page)) // the browser may be gone
}
