package main

import (
	"fmt"
	"html"
	"net/http"
)

const startPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>wsd</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42em;margin:3em auto;padding:0 1em}code{background:#eee;padding:0 .2em}</style>
<h1>wsd</h1>
<p>This is a server for Socket.IO and WebSockets. It is up.</p>
<dl>
<dt><code>%[1]s</code><dd>Socket.IO: <code>io("http://this-host")</code> in a page or in Node
<dt><code>/topics/{topic}</code><dd>publish and subscribe by plain WebSockets
<dt><code>/echo</code><dd>sends back what it gets, for first tests
<dt><a href="/health"><code>/health</code></a><dd>for load balancers
</dl>
</html>
`

// serveStartPage answers GET /, so that somebody who looks knows what is here.
func (s *server) serveStartPage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	// The client may be gone.
	_, _ = fmt.Fprintf(w, startPage, html.EscapeString(s.sioFlags.SIOPath))
}
