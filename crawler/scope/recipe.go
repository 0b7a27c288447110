package scope

import (
	"embed"
	"strings"

	"salvor"
)

//go:embed recipes/*.txt
var recipeFiles embed.FS

// recipeNames are the built-in sets of value rules.
var recipeNames = []string{"originals-first", "thumbnails-first", "text-first"}

// Recipe is a built-in set of value rules.
type Recipe struct {
	Name  string
	About string // its comment, in one line
	Rules []ValueRule
}

// Recipes lists the built-in sets of value rules.
func Recipes() []Recipe {
	out := make([]Recipe, len(recipeNames))
	for i, name := range recipeNames {
		out[i], _ = FindRecipe(name) // embedded; a test reads them all
	}
	return out
}

// FindRecipe is the recipe of a name. A crawl keeps its rules, not its name: a
// later version of the recipe changes no crawl.
func FindRecipe(name string) (r Recipe, err error) {
	text, err := recipeFiles.ReadFile("recipes/" + name + ".txt")
	if err != nil {
		return r, salvor.Errorf(salvor.Invalid, "there is no recipe %q", name).
			WithHint("the recipes are %s; see: salvor crawl value list", strings.Join(recipeNames, ", "))
	}
	r.Name = name
	var about []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch comment, is := strings.CutPrefix(line, "#"); {
		case is:
			about = append(about, strings.TrimSpace(comment))
		case line != "":
			r.Rules = append(r.Rules, ValueRule{Text: line, From: "recipe " + name})
		}
	}
	r.About = strings.Join(about, " ")
	return r, nil
}
