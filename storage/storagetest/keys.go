package storagetest

import "strings"

var long = strings.Repeat("s", 200)

var badKeys = []string{
	"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "./a",
	".hidden", "a/.tmp", "a\\b", "a b", "a\x00b", "a\nb", "ä", "a/\xff", "a?b", "a*b", "a:b", "a%2fb",
	long + "s", strings.Repeat("a/", 450) + "x",
}

var goodKeys = []string{
	"a", "b/c", "b/c-d", "b.c", "B/c", "a-b", "a_b~+=@,", "0/1/2/3/4/5/6/7/8/9", "x..y", "x.",
	"crawl/1/warc/2026/11/23/node-000001-abcdef.warc.gz",
	long, "z/" + long + "/" + long + "/" + long + "/" + long,
}
