package sio

import (
	"encoding/json"
	"io"
)

// reflected writes a value of any other type by encoding/json.
func (e *encoder) reflected(v any) error {
	w := &sliceWriter{e.dst}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	e.dst = w.b[:len(w.b)-1] // without the newline
	return nil
}

// sliceWriter appends what is written to it.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

var _ io.Writer = (*sliceWriter)(nil)
