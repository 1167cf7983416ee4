package sio

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/jsontext"
)

// reflected writes a value of any type. What cannot hold binary data is left to
// encoding/json as a whole; the rest is walked by the same rules.
func (e *encoder) reflected(v reflect.Value) error {
	if !mayHoldBinary(v.Type()) {
		return e.marshal(v)
	}
	switch v.Type() {
	case binaryType:
		e.attach(v.Bytes())
		return nil
	case valueType:
		return e.passed(v.Interface().(Value))
	}
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	switch v.Kind() {
	case reflect.Interface:
		return e.value(v.Interface())
	case reflect.Pointer:
		if !v.IsNil() {
			return e.reflected(v.Elem())
		}
	case reflect.Struct:
		return e.structure(v)
	case reflect.Map:
		if !v.IsNil() {
			return e.mapping(v)
		}
	case reflect.Slice:
		if !v.IsNil() {
			return e.list(v)
		}
	case reflect.Array:
		return e.list(v)
	}
	e.null()
	return nil
}

func (e *encoder) list(v reflect.Value) error {
	e.dst = append(e.dst, '[')
	for i := range v.Len() {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		if err := e.reflected(v.Index(i)); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, ']')
	return nil
}

func (e *encoder) mapping(v reflect.Value) error {
	type member struct {
		key   string
		value reflect.Value
	}
	members := make([]member, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		key, err := mapKey(it.Key())
		if err != nil {
			return err
		}
		members = append(members, member{key, it.Value()})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	e.dst = append(e.dst, '{')
	for i, m := range members {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst = append(jsontext.AppendQuoted(e.dst, m.key), ':')
		if err := e.reflected(m.value); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, '}')
	return nil
}

// mapKey is the name that encoding/json gives a key.
func mapKey(key reflect.Value) (string, error) {
	if key.Kind() == reflect.String {
		return key.String(), nil
	}
	if m, ok := key.Interface().(encoding.TextMarshaler); ok {
		if key.Kind() == reflect.Pointer && key.IsNil() {
			return "", nil
		}
		text, err := m.MarshalText()
		return string(text), err
	}
	if key.CanInt() {
		return strconv.FormatInt(key.Int(), 10), nil
	}
	if key.CanUint() {
		return strconv.FormatUint(key.Uint(), 10), nil
	}
	return "", &json.UnsupportedTypeError{Type: key.Type()}
}

func (e *encoder) structure(v reflect.Value) error {
	e.dst = append(e.dst, '{')
	first := true
	for _, f := range fieldsOf(v.Type()) {
		field, ok := f.of(v)
		if !ok || f.omitEmpty && isEmpty(field) || f.omitZero && isZero(field) {
			continue
		}
		if !first {
			e.dst = append(e.dst, ',')
		}
		first = false
		e.dst = append(jsontext.AppendQuoted(e.dst, f.name), ':')
		write := e.reflected
		if f.quoted {
			write = e.quoted
		}
		if err := write(field); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, '}')
	return nil
}

// quoted writes a number, bool or string with the option ",string".
func (e *encoder) quoted(v reflect.Value) error {
	start := len(e.dst)
	if err := e.marshal(v); err != nil {
		return err
	}
	if text := string(e.dst[start:]); text != null {
		e.dst = jsontext.AppendQuoted(e.dst[:start], text)
	}
	return nil
}

// marshal writes a value by encoding/json.
func (e *encoder) marshal(v reflect.Value) error {
	if v.CanAddr() {
		v = v.Addr() // where MarshalJSON may be
	}
	w := &sliceWriter{e.dst}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.Interface()); err != nil {
		return err
	}
	if !utf8.Valid(w.b[len(e.dst):]) {
		return ErrPayload // raw JSON can do that
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

var (
	binaryType        = reflect.TypeFor[Binary]()
	valueType         = reflect.TypeFor[Value]()
	jsonMarshalerType = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

// binaryTypes remembers the answers of mayHoldBinary: reflect.Type to bool.
var binaryTypes sync.Map

// mayHoldBinary says whether binary data may be in a value of type t: whether a
// [Binary], a [Value] or an interface is. A type that marshals itself has none.
func mayHoldBinary(t reflect.Type) bool {
	if known, ok := binaryTypes.Load(t); ok {
		return known.(bool)
	}
	holds := findBinary(t, map[reflect.Type]bool{})
	binaryTypes.Store(t, holds)
	return holds
}

// findBinary does not go into the types in seen again.
func findBinary(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch {
	case t == binaryType || t == valueType:
		return true
	case seen[t]:
		return false
	}
	seen[t] = true
	if t.Kind() == reflect.Interface {
		return true
	}
	if p := reflect.PointerTo(t); p.Implements(jsonMarshalerType) || p.Implements(textMarshalerType) {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findBinary(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if findBinary(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
