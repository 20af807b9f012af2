package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pidfd-shim/pidfd-shim/tests/randpolicy"
)

// published is the schema that editors use.
func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	schema, err := c.Compile(filepath.Join("..", "docs", "policy.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate asks the schema about a YAML text.
func validate(schema *jsonschema.Schema, text []byte) error {
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err // keys given twice, among others
	}
	var value any
	if err := json.Unmarshal(asJSON, &value); err != nil {
		return err
	}
	return schema.Validate(value)
}

func goodFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"testdata/good/*.yaml", "../docs/policies/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < 5 {
			t.Fatalf("found %d files like %s: %v", len(files), pattern, err)
		}
		all = append(all, files...)
	}
	return all
}

// TestGoodFiles are taken by parser and schema, and their own tests pass.
func TestGoodFiles(t *testing.T) {
	schema := published(t)
	for _, path := range goodFiles(t) {
		p, err := Load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, failure := range p.Test() {
			t.Error(failure.Error())
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, text); err != nil {
			t.Errorf("%s: parser takes it, schema does not: %v", path, err)
		}
	}
}

// TestSchemaTakesWhatTheParserTakes is over random policies.
func TestSchemaTakesWhatTheParserTakes(t *testing.T) {
	schema := published(t)
	g := randpolicy.New(13)
	for range scaled(300) {
		text := g.Policy()
		if _, err := Parse("random.yaml", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, []byte(text)); err != nil {
			t.Fatalf("%v of\n%s", err, text)
		}
	}
}

// beyondSchema are the mistakes that a schema cannot see, each with the reason.
func beyondSchema() map[string]string {
	const (
		form   = "form of the file, gone once it is JSON"
		number = "notation of a number, gone once it is JSON"
		order  = "compares two parts of a text"
		other  = "compares with another place in the file"
		glob   = "inside of a pattern"
	)
	return map[string]string{
		"tag": form, "own-tag": form, "anchor": form, "directive": form, "document-end": form, "two-documents": form,
		"lone-cr": form, "escape-byte": form, "complex-key": form, "merge-key": form,
		"signal-hex": number, "signal-octal": number, "signal-underscore": number, "signal-plus": number, "signal-float": number,
		"version-hex": number, "version-float": number, "values-zero": number,
		"range-reversed": order, "codes-reversed": order, "values-reversed": order, "uid-reversed": order,
		"rule-name-twice": other, "test-syscall-free": other, "test-scope": other, "test-scope-tkill": other, "test-code-kill": other,
		"test-code-null": other, "test-value-null": other, "test-rule": other, "test-unknown-said": other,
		"exe-class": glob, "exe-class-empty": glob, "exe-class-reversed": glob, "exe-backslash": glob, "exe-class-utf8": glob, "exe-long": glob, "comm-long": glob,
		"errno-typo": "the schema does not list 131 errnos", "errno-unknown": "likewise", "rule-errno-typo": "likewise",
		"codes-typo": "nor 70 si_codes",
		"uid-name":   "nor a machine's users", "gid-word": "nor its groups", "test-uid-name": "likewise",
	}
}

// TestSchemaRefusesBadFiles holds the schema to all mistakes that it can see, and the
// list of the others to being needed.
func TestSchemaRefusesBadFiles(t *testing.T) {
	schema, beyond := published(t), beyondSchema()
	for _, path := range badFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path[:len(path)-len(".yaml")])
		refused := validate(schema, text) != nil
		if _, excused := beyond[name]; refused == excused {
			t.Errorf("%s: refused by the schema: %v, listed as beyond it: %v", name, refused, excused)
		}
		delete(beyond, name)
	}
	for name := range beyond {
		t.Errorf("%s is listed, and no file", name)
	}
}
