package api

import (
	_ "embed"
	"net/http"
)

// Description is the API in OpenAPI 3.1.
//
//go:embed openapi.yaml
var Description []byte

func serveDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(Description) // the client may be gone
}
