package testkit

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// OpenAPI is the part of a description that Go types can be held against.
type OpenAPI struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Ref      string `yaml:"$ref"`
			Name, In string
		}
		RequestBody *struct{ Content OpenAPIContent } `yaml:"requestBody"`
		Responses   map[string]struct{ Content OpenAPIContent }
	}
	Components struct {
		Parameters map[string]struct{ Name, In string }
		Schemas    map[string]*OpenAPISchema
	}
}

// OpenAPIContent is a body by its media type.
type OpenAPIContent map[string]struct{ Schema OpenAPISchema }

// OpenAPISchema is the part of a schema that bodies use.
type OpenAPISchema struct {
	Ref        string                    `yaml:"$ref"`
	Type       openAPITypes              `yaml:"type"`
	Properties map[string]*OpenAPISchema `yaml:"properties"`
	Additional *bool                     `yaml:"additionalProperties"`
	Items      *OpenAPISchema            `yaml:"items"`
	Required   []string                  `yaml:"required"`
}

// openAPITypes is one type, or several.
type openAPITypes []string

func (o *openAPITypes) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*o = openAPITypes{n.Value}
		return nil
	}
	return n.Decode((*[]string)(o))
}

// ParseOpenAPI reads a description.
func ParseOpenAPI(t testing.TB, text []byte) *OpenAPI {
	t.Helper()
	d := new(OpenAPI)
	if err := yaml.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Operations are the methods and paths, such as "GET /v1/nodes".
func (d *OpenAPI) Operations() map[string]bool {
	all := map[string]bool{}
	for path, ops := range d.Paths {
		for method := range ops {
			all[strings.ToUpper(method)+" "+path] = true
		}
	}
	return all
}

// Names fails the test unless the schema of that name describes v as encoding/json
// writes it.
func (d *OpenAPI) Names(t testing.TB, name string, v any) {
	t.Helper()
	d.Holds(t, name, &OpenAPISchema{Ref: "#/components/schemas/" + name}, reflect.TypeOf(v))
}

// Holds compares a schema with a Go type; where is for messages.
func (d *OpenAPI) Holds(t testing.TB, where string, s *OpenAPISchema, typ reflect.Type) {
	t.Helper()
	if ref, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if s = d.Components.Schemas[ref]; s == nil {
			t.Errorf("%s: no schema %s", where, ref)
			return
		}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		d.Holds(t, where, s, typ.Elem())
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return // any JSON
		}
		if !slices.Contains(s.Type, "array") || s.Items == nil {
			t.Errorf("%s: want an array", where)
			return
		}
		d.Holds(t, where+"[]", s.Items, typ.Elem())
	case reflect.Struct:
		if typ.String() == "time.Time" {
			return
		}
		d.holdsFields(t, where, s, typ)
	default:
		want := map[reflect.Kind]string{
			reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Uint64: "integer", reflect.Float64: "number",
		}[typ.Kind()]
		if !slices.Contains(s.Type, want) {
			t.Errorf("%s: type %q is described, it is %q", where, s.Type, want)
		}
	}
}

func (d *OpenAPI) holdsFields(t testing.TB, where string, s *OpenAPISchema, typ reflect.Type) {
	t.Helper()
	if !slices.Contains(s.Type, "object") || s.Additional == nil || *s.Additional {
		t.Errorf("%s: want an object without additional properties", where)
	}
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "-" {
			continue
		}
		seen[name] = true
		p := s.Properties[name]
		if p == nil {
			t.Errorf("%s: field %q is not described", where, name)
			continue
		}
		required := options == ""
		if required != slices.Contains(s.Required, name) {
			t.Errorf("%s: whether %q is required is described wrongly", where, name)
		}
		if null := required && f.Type.Kind() == reflect.Pointer; null != slices.Contains(p.Type, "null") {
			t.Errorf("%s: whether %q may be null is described wrongly", where, name)
		}
		d.Holds(t, where+"."+name, p, f.Type)
	}
	for name := range s.Properties {
		if !seen[name] {
			t.Errorf("%s: field %q is described, and there is none", where, name)
		}
	}
}
