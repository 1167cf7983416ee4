package sio

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// field is a member of a struct as encoding/json sees it.
type field struct {
	name      string
	tagged    bool  // the name comes from a tag
	index     []int // the way to it through embedded structs
	omitEmpty bool
	omitZero  bool
	quoted    bool
}

// structFields remembers the answers of fieldsOf: reflect.Type to []field.
var structFields sync.Map

// fieldsOf returns the members of a struct, in the order they are written.
func fieldsOf(t reflect.Type) []field {
	if known, ok := structFields.Load(t); ok {
		return known.([]field)
	}
	all := collectFields(nil, t, nil, nil)
	fields := slices.DeleteFunc(slices.Clone(all), func(f field) bool { return !dominant(f, all) })
	structFields.Store(t, fields)
	return fields
}

// collectFields appends the fields of t, which is reached by index through the
// types in path, and those of the structs it embeds.
func collectFields(dst []field, t reflect.Type, index []int, path []reflect.Type) []field {
	if slices.Contains(path, t) {
		return dst
	}
	path = append(slices.Clip(path), t)
	for i := range t.NumField() {
		f := t.Field(i)
		inner := f.Type
		if inner.Kind() == reflect.Pointer && inner.Name() == "" {
			inner = inner.Elem()
		}
		embeds := f.Anonymous && inner.Kind() == reflect.Struct
		tag := f.Tag.Get("json")
		if tag == "-" || !f.IsExported() && !embeds {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !validName(name) {
			name = ""
		}
		at := append(slices.Clip(index), i)
		if embeds && name == "" {
			dst = collectFields(dst, inner, at, path)
			continue
		}
		if !f.IsExported() {
			continue
		}
		member := field{name: name, tagged: name != "", index: at}
		if name == "" {
			member.name = f.Name
		}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				member.omitEmpty = true
			case "omitzero":
				member.omitZero = true
			case "string":
				member.quoted = quotable(inner.Kind())
			}
		}
		dst = append(dst, member)
	}
	return dst
}

// dominant says whether f is the field its name stands for: of several, that
// with the shortest way, of these the one with a tag, and otherwise none.
func dominant(f field, all []field) bool {
	for _, g := range all {
		if g.name != f.name || slices.Equal(g.index, f.index) {
			continue
		}
		if len(g.index) < len(f.index) || len(g.index) == len(f.index) && (g.tagged || !f.tagged) {
			return false
		}
	}
	return true
}

// validName says whether encoding/json takes a name from a tag.
func validName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

func quotable(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 || k == reflect.String
}

// of returns the field of a struct. ok is false if an embedded pointer on the
// way is nil.
func (f *field) of(v reflect.Value) (reflect.Value, bool) {
	for i, at := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(at)
	}
	return v, true
}

// isEmpty is the rule of "omitempty".
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// isZero is the rule of "omitzero".
func isZero(v reflect.Value) bool {
	type zeroer interface{ IsZero() bool }
	if v.CanAddr() && !(v.Kind() == reflect.Pointer && v.IsNil()) {
		if z, ok := v.Addr().Interface().(zeroer); ok {
			return z.IsZero()
		}
	}
	if z, ok := v.Interface().(zeroer); ok && !(v.Kind() == reflect.Pointer && v.IsNil()) {
		return z.IsZero()
	}
	return v.IsZero()
}
