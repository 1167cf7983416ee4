package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// column is one of a table in a terminal; that of width 0 gets what the others
// leave.
type column struct {
	title string
	width int
	right bool
}

// cell is a text with a style.
type cell struct{ text, style string }

// table is a title line and a line for each row, each of width columns; empty stands
// where there are no rows.
func (f *frame) table(cols []column, rows [][]cell, width int, empty string) []string {
	left := width
	for _, c := range cols {
		left -= c.width
	}
	left -= len(cols) - 1
	line := func(text func(i int) cell) string {
		var b strings.Builder
		for i, c := range cols {
			if i > 0 {
				b.WriteByte(' ')
			}
			w := c.width
			if w == 0 {
				w = max(left, 0)
			}
			x := text(i)
			if c.right {
				b.WriteString(f.paint(x.style, fitRight(x.text, w)))
			} else {
				b.WriteString(f.paint(x.style, fit(x.text, w)))
			}
		}
		return b.String()
	}
	lines := []string{line(func(i int) cell { return cell{cols[i].title, dim} })}
	for _, row := range rows {
		lines = append(lines, line(func(i int) cell {
			if i < len(row) {
				return row[i]
			}
			return cell{}
		}))
	}
	if len(rows) == 0 && empty != "" {
		lines = append(lines, f.paint(dim, fit(empty, width)))
	}
	return lines
}

// columnsOf is how many columns a character takes: 2 for those of East Asia and
// pictures, none for marks that go onto the one before.
func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3,
		r >= 0xF900 && r <= 0xFAFF, r >= 0xFE30 && r <= 0xFE6F, r >= 0xFF00 && r <= 0xFF60,
		r >= 0xFFE0 && r <= 0xFFE6, r >= 0x1F300 && r <= 0x1FAFF, r >= 0x20000 && r <= 0x3FFFD:
		return 2
	}
	return 1
}

// columns is how many columns a text takes.
func columns(text string) (n int) {
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

// fit makes a text width columns wide: it is filled up, or cut off.
func fit(text string, width int) string {
	n := columns(text)
	if n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	var b strings.Builder
	n = 0
	for _, r := range text {
		if n+columnsOf(r) > width-1 {
			break
		}
		b.WriteRune(r)
		n += columnsOf(r)
	}
	if width > 0 {
		b.WriteRune('…')
		n++
	}
	return b.String() + strings.Repeat(" ", max(0, width-n))
}

// fitRight is fit that fills up in front.
func fitRight(text string, width int) string {
	if n := columns(text); n < width {
		return strings.Repeat(" ", width-n) + text
	}
	return fit(text, width)
}

// sparkline draws the last width values against the largest of them.
func sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	top := 0.0
	for _, v := range values {
		top = math.Max(top, v)
	}
	steps := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		at := 0
		if top > 0 {
			at = int(math.Ceil(v/top*float64(len(steps)))) - 1
		}
		b.WriteRune(steps[min(max(at, 0), len(steps)-1)])
	}
	return b.String()
}

// commas is a number with its thousands apart.
func commas[T int | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate is a number per second, short.
func rate(n float64) string {
	switch {
	case n <= 0:
		return "0"
	case n < 10:
		return strconv.FormatFloat(n, 'f', 1, 64)
	case n < 10e3:
		return commas(int(math.Round(n)))
	case n < 10e6:
		return strconv.FormatFloat(n/1e3, 'f', 1, 64) + "k"
	}
	return strconv.FormatFloat(n/1e6, 'f', 1, 64) + "M"
}

// sizeText is a number of bytes, short.
func sizeText(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	unit := 0
	for ; n >= 1000 && unit < len(units)-1; unit++ {
		n /= 1024
	}
	digits := 1
	if unit == 0 || n >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + " " + units[unit]
}

// millis is a number of milliseconds.
func millis(n float64) string {
	digits := 2
	if n >= 100 {
		digits = 0
	} else if n >= 1 {
		digits = 1
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + " ms"
}

// lagStyle is the style of a lag in milliseconds.
func lagStyle(n float64) string {
	switch {
	case n >= 250:
		return red
	case n >= 50:
		return yellow
	}
	return ""
}

func percent(share float64) string {
	if share > 0 && share < 0.1 {
		return strconv.FormatFloat(share*100, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(share*100, 'f', 0, 64) + " %"
}

// upFor is a time in its two largest units.
func upFor(d time.Duration) string {
	s := int(max(0, d.Seconds()))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}
