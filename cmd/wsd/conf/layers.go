package conf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// EnvPrefix is what the variables begin with.
const EnvPrefix = "WSD_"

// EnvName is the variable of a flag: WSD_MAX_PAYLOAD of max-payload.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Layers are the places below the command line: the environment above the file.
type Layers struct {
	// File is nil without one.
	File *File
	// Env looks a variable up, as os.LookupEnv does.
	Env func(name string) (string, bool)
	// Given tells flags that the command line has.
	Given map[string]bool
	// Fixed are flags that a file can't have.
	Fixed []string
}

// lookup returns what the layers have for a flag, and where: "env NAME" or
// "FILE:LINE"; nil for nothing. A secret comes from one place: what is said higher
// up, as a text or as a file's name, hides what is said below in the other form.
func (l *Layers) lookup(flag string) (value any, source string) {
	other := flag + "-file"
	if base, isFile := strings.CutSuffix(flag, "-file"); isFile {
		other = base
	}
	if l.Given[flag] || l.Given[other] {
		return nil, ""
	}
	if text, ok := l.Env(EnvName(flag)); ok {
		return text, "env " + EnvName(flag)
	}
	if _, ok := l.Env(EnvName(other)); ok || l.File == nil {
		return nil, ""
	}
	if e, ok := l.File.entries[flag]; ok {
		return e.value(), l.File.at(flag)
	}
	return nil, ""
}

// Resolve implements kong.ResolverFunc.
func (l *Layers) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "help" {
		return nil, nil
	}
	value, _ := l.lookup(flag.Name)
	return value, nil
}

// Source is where a flag's value comes from: flag, env NAME, FILE:LINE or default.
func (l *Layers) Source(flag string) string {
	if l.Given[flag] {
		return "flag"
	}
	if _, source := l.lookup(flag); source != "" {
		return source
	}
	return "default"
}

// Check refuses keys of the file that no flag has, and values that their flag can't
// take. It says in which line, or in which variable, each mistake is.
func (l *Layers) Check(flags []*kong.Flag) error {
	known := map[string]*kong.Flag{}
	var names []string
	for _, flag := range flags {
		if flag.Name != "help" && !slices.Contains(l.Fixed, flag.Name) {
			known[flag.Name] = flag
			names = append(names, flag.Name)
		}
	}
	if l.File != nil {
		for _, key := range l.File.order {
			flag := known[key]
			if flag == nil {
				return fmt.Errorf("%s: unknown key %s%s", l.File.at(key), key, DidYouMean(key, names))
			}
			if err := l.File.entries[key].check(flag); err != nil {
				return fmt.Errorf("%s: %s: %w", l.File.at(key), key, err)
			}
		}
	}
	for _, flag := range flags {
		if value, source := l.lookup(flag.Name); strings.HasPrefix(source, "env ") {
			if err := try(flag, value); err != nil {
				return fmt.Errorf("%s: %w", EnvName(flag.Name), err)
			}
		}
	}
	return nil
}

// check holds the entry against what the flag takes.
func (e entry) check(flag *kong.Flag) error {
	switch {
	case e.many && !flag.IsSlice():
		return fmt.Errorf("want one value, not a list")
	case !e.many && flag.IsBool() && e.kind != "!!bool":
		return fmt.Errorf("%q: want true or false", e.text)
	}
	return try(flag, e.value())
}

// try decodes value as flag's, which stays as it is.
func try(flag *kong.Flag, value any) error {
	target := reflect.New(flag.Target.Type()).Elem()
	decode := &kong.DecodeContext{Value: flag.Value, Scan: kong.Scan().PushTyped(value, kong.FlagValueToken)}
	if err := flag.Mapper.Decode(decode, target); err != nil {
		return err
	}
	if flag.Enum != "" && !flag.EnumMap()[fmt.Sprint(target)] {
		return fmt.Errorf("%q: want one of %s", fmt.Sprint(target), strings.Join(slices.DeleteFunc(flag.EnumSlice(), func(s string) bool { return s == "" }), ", "))
	}
	return nil
}
