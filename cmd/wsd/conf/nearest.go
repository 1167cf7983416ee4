package conf

import "strings"

// DidYouMean is ": did you mean NAME?" with the name that is nearest to given, ""
// where none is near.
func DidYouMean(given string, names []string) string {
	if name := Nearest(given, names); name != "" {
		return ": did you mean " + name + "?"
	}
	return ""
}

// Nearest returns the name that was probably meant, "" where none is near.
func Nearest(given string, names []string) string {
	best, least := "", max(2, len(given)/3)+1
	for _, name := range names {
		d := distance(plain(given), plain(name))
		if len(given) > 2 && strings.HasPrefix(name, given) {
			d = min(d, 2)
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// plain leaves out how words are set apart, which people confuse first.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(name))
}

// distance is how many letters must be put in, taken out or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
