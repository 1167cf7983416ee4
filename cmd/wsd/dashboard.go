package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
)

// The dashboard's parts. They are served as one page: nothing else is loaded, and
// all of it is of one version.
var (
	//go:embed dashboard/page.html
	dashboardHTML string
	//go:embed dashboard/style.css
	dashboardCSS string
	//go:embed dashboard/app.js
	dashboardJS string
)

// dashboardPage puts the parts together, and makes the policy that allows them
// and nothing else.
var dashboardPage = sync.OnceValues(func() (page, policy string) {
	page = strings.NewReplacer("{{style}}", dashboardCSS, "{{script}}", dashboardJS).Replace(dashboardHTML)
	return page, "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"style-src " + sourceHash(dashboardCSS) + "; script-src " + sourceHash(dashboardJS)
})

// sourceHash is how a Content-Security-Policy names the text of an element.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// serveDashboard answers GET / of the admin listener. The page has no data of its
// own: it asks for /v1/overview, with the token if there is one.
func serveDashboard(w http.ResponseWriter, _ *http.Request) {
	page, policy := dashboardPage()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write([]byte(page)) // the browser may be gone
}
