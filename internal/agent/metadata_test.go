package agent

import (
	"fmt"
	"strings"
	"testing"
)

func TestReadMetadata(t *testing.T) {
	for _, row := range []struct{ metadata, name, refused string }{
		{"", "", ""},
		{"policy=web", "web", ""},
		{"MKDIR_TMP=x\npolicy=web\nOTHER=y", "web", ""},
		{" policy = web \r\n", "web", ""},
		{"policy=web\npolicy=web", "web", ""},
		{"policy=web\npolicy=db", "", "two policies"},
		{"policy=", "", "no name"},
		{"policy=../web", "", "no name"},
		{"policy=.web", "", "no name"},
		{"policy=a/b", "", "no name"},
		{"xpolicy=web", "", ""},
		{"policy", "", ""},
		{`{"policy":"web"}`, "web", ""},
		{`{"other":1}`, "", ""},
		{`{"policy":null}`, "", ""},
		{`{"policy":1}`, "", "read the metadata"},
		{`{"policy":"web"`, "", "read the metadata"},
		{`{"policy":"/etc/passwd"}`, "", "no name"},
		{"policy=" + strings.Repeat("x", 200), "", "no name"},
	} {
		t.Run(fmt.Sprintf("%.40q", row.metadata), func(t *testing.T) {
			said, err := readMetadata(row.metadata)
			if row.refused == "" && err != nil || row.refused != "" && (err == nil || !strings.Contains(err.Error(), row.refused)) {
				t.Errorf("error %v, want one with %q", err, row.refused)
			}
			if err == nil && said.policy != row.name {
				t.Errorf("policy %q, want %q", said.policy, row.name)
			}
		})
	}
}

func TestMetadataSaysWhatIsNotified(t *testing.T) {
	for metadata, want := range map[string]bool{
		"":                                false,
		"policy=web":                      false,
		"notifies=landlock_restrict_self": true,
		"notifies=kill, landlock_restrict_self ,unshare\npolicy=web": true,
		"notifies=unshare": false,
		`{"policy":"web","notifies":["landlock_restrict_self"]}`: true,
		`{"notifies":["kill"]}`:                                  false,
	} {
		said, err := readMetadata(metadata)
		if err != nil || said.seesLandlock != want {
			t.Errorf("%q: %v, %v; want %v", metadata, said.seesLandlock, err, want)
		}
	}
}
