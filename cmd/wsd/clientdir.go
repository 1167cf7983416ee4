package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bytes"
)

// clientFiles are those that Node's server has below its path, and that npm's
// socket.io-client brings in dist.
var clientFiles = []string{
	"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js",
	"socket.io.js.map", "socket.io.min.js.map", "socket.io.esm.min.js.map", "socket.io.msgpack.min.js.map",
}

// clientDir is the folder with the files of npm's client: dir, or where npm's
// packages socket.io-client and socket.io have it.
func clientDir(dir string) (string, error) {
	for _, sub := range []string{"", "dist", "client-dist"} {
		found := filepath.Join(dir, sub)
		if _, err := os.Stat(filepath.Join(found, clientFiles[0])); err == nil {
			return found, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s has no %s: want the folder dist of npm's socket.io-client", dir, clientFiles[0])
}

// clientFile serves one of clientFiles from dir. It is read at each request,
// so that an update needs no restart; an empty dir is none.
func clientFile(dir, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		if dir == "" {
			http.Error(w, "wsd does not have this file: it is socket.io-client/dist/"+name+" of npm; start wsd with --client-dir, or serve it elsewhere", http.StatusNotFound)
			return
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			http.Error(w, "the folder of --client-dir does not have socket.io-client/dist/"+name+" of npm", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("ETag", etag(content))
		h.Set("Cache-Control", "public, max-age=0")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Type", "application/javascript; charset=utf-8")
		if strings.HasSuffix(name, ".map") {
			h.Set("Content-Type", "application/json; charset=utf-8")
		}
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
}

func etag(content []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(content) // a hash takes everything
	return `"` + strconv.FormatUint(h.Sum64(), 36) + `"`
}
