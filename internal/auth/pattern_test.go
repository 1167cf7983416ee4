package auth_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/auth"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern, name, sub string
		want               bool
	}{
		{"lobby", "lobby", "", true},
		{"lobby", "lobby2", "", false},
		{"lobby", "", "", false},
		{"Lobby", "lobby", "", false},
		{"*", "lobby", "", true},
		{"*", "a/b", "", false},
		{"**", "a/b", "", true},
		{"**", "a\nb", "", true},
		{"room/*", "room/1", "", true},
		{"room/*", "room/1/admin", "", false},
		{"room/**", "room/1/admin", "", true},
		{"room/**", "room", "", false},
		{"room-*", "room-12", "", true},
		{"room-*-x", "room-1-2-x", "", true},
		{"room-*-x", "room-1-2-y", "", false},
		{"*/b/*", "a/b/c", "", true},
		{"*/b/*", "a/b/c/d", "", false},
		{"**/x/*", "a/x/b/x/c", "", true},
		{"**x*y", "ax/xby", "", true},
		{"**x*y", "ax/bxb/y", "", false},
		{"a.c", "abc", "", false},
		{"private/{sub}", "private/ann", "ann", true},
		{"private/{sub}", "private/bob", "ann", false},
		{"private/{sub}", "private/", "", false},
		{"private/{sub}/*", "private/ann/x", "ann", true},
		{"private/{sub}", "private/*", "*", true},
		{"private/{sub}", "private/ann", "*", false},
		{"private/{sub}/**", "private/ann/x/y", "ann/x", false},
		{"{sub}-{sub}", "a-a", "a", true},
		{"*{sub}", "xxa", "a", true},
		{"*{sub}", "xxb", "a", false},
	}
	for _, tt := range tests {
		p, err := auth.ParsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		if got := p.Match(tt.name, tt.sub); got != tt.want {
			t.Errorf("%q matches %q for %q: %v", tt.pattern, tt.name, tt.sub, got)
		}
		if p.String() != tt.pattern {
			t.Errorf("%q became %q", tt.pattern, p)
		}
	}
}

func TestBadPattern(t *testing.T) {
	for _, s := range []string{"", "***", "a/****", "{user}", "a{", "}", "{sub", "{{sub}}", "\xff", strings.Repeat("a", auth.MaxPattern+1)} {
		if p, err := auth.ParsePattern(s); !errors.Is(err, auth.ErrPattern) {
			t.Errorf("%.20q: %v, %v", s, p, err)
		}
	}
}

func TestSpelling(t *testing.T) {
	ps, err := auth.ParsePatterns([]string{"*", "**", "user:*", "user:{sub}", "user*", "{sub}"})
	if err != nil {
		t.Fatal(err)
	}
	got := ps.Spelling("user:")
	if len(got) != 2 || got[0].String() != "user:*" || got[1].String() != "user:{sub}" {
		t.Errorf("%v", got)
	}
	if !ps.Match("user:bob", "ann") || got.Spelling("x").Match("x", "") {
		t.Error("lists do not match as they should")
	}
}

// The oracle is a regular expression.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][3]string{{"room/*", "room/1", "x"}, {"**a*b/{sub}", "aab/x", "x"}, {"*/b/**", "a/b/c/d", ""}, {"{sub}*{sub}", "aXa", "a"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, name, sub string) {
		if len(name) > 200 || len(sub) > 20 {
			return
		}
		p, err := auth.ParsePattern(pattern)
		if err != nil {
			return
		}
		if got, want := p.Match(name, sub), oracle(pattern, name, sub); got != want {
			t.Errorf("%q, %q, %q: %v, want %v", pattern, name, sub, got, want)
		}
	})
}

func oracle(pattern, name, sub string) bool {
	if strings.Contains(pattern, "{sub}") && (sub == "" || strings.Contains(sub, "/")) {
		return false
	}
	return regexp.MustCompile(`^(?:` + translate(pattern, sub) + `)$`).MatchString(hexed(name))
}

// translate writes a pattern as an expression over hexed names, whose bytes
// need no care for UTF-8.
func translate(pattern, sub string) string {
	var b strings.Builder
	for pattern != "" {
		switch {
		case strings.HasPrefix(pattern, "**"):
			b.WriteString(`(?:[A-P][A-P])*`)
			pattern = pattern[2:]
		case pattern[0] == '*':
			b.WriteString(`(?:[ABD-P][A-P]|C[A-O])*`)
			pattern = pattern[1:]
		case strings.HasPrefix(pattern, "{sub}"):
			b.WriteString(hexed(sub))
			pattern = pattern[5:]
		default:
			b.WriteString(hexed(pattern[:1]))
			pattern = pattern[1:]
		}
	}
	return b.String()
}

// hexed writes each byte as two letters from A to P: "/" (0x2f) is CP.
func hexed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte('A' + s[i]>>4)
		b.WriteByte('A' + s[i]&15)
	}
	return b.String()
}
