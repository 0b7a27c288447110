package extract

// tagID names the elements that have links of their own.
type tagID uint8

const (
	tagOther tagID = iota
	tagA
	tagApplet
	tagArea
	tagAudio
	tagBase
	tagBgsound
	tagBlockquote
	tagBody
	tagButton
	tagDel
	tagEmbed
	tagFeImage
	tagForm
	tagFrame
	tagHTML
	tagIframe
	tagImage
	tagImg
	tagInput
	tagIns
	tagLink
	tagMeta
	tagObject
	tagParam
	tagPlaintext
	tagQ
	tagScript
	tagSource
	tagStyle
	tagSvg
	tagTextarea
	tagTitle
	tagTrack
	tagUse
	tagVideo
	tagXmp
	numTags
)

var tagNames = [numTags]string{
	"*", "a", "applet", "area", "audio", "base", "bgsound", "blockquote", "body", "button", "del", "embed",
	"feimage", "form", "frame", "html", "iframe", "image", "img", "input", "ins", "link", "meta", "object",
	"param", "plaintext", "q", "script", "source", "style", "svg", "textarea", "title", "track", "use", "video", "xmp",
}

// attrID names the attributes that hold links or say what they are for.
type attrID uint8

const (
	attrAction attrID = iota
	attrArchive
	attrAs
	attrBackground
	attrCharset
	attrCite
	attrCode
	attrCodebase
	attrContent
	attrData
	attrDataBg
	attrDataHref
	attrDataLazySrc
	attrDataLazySrcset
	attrDataOriginal
	attrDataOriginalSet
	attrDataPoster
	attrDataSrc
	attrDataSrcset
	attrDataURL
	attrDynsrc
	attrHref
	attrHTTPEquiv
	attrImagesrcset
	attrItemprop
	attrLongdesc
	attrLowsrc
	attrManifest
	attrMethod
	attrName
	attrPoster
	attrProperty
	attrRel
	attrSrc
	attrSrcdoc
	attrSrcset
	attrStyle
	attrType
	attrURL
	attrValue
	attrXlinkHref
	numAttrs
)

var attrNames = [numAttrs]string{
	"action", "archive", "as", "background", "charset", "cite", "code", "codebase", "content", "data", "data-bg",
	"data-href", "data-lazy-src", "data-lazy-srcset", "data-original", "data-original-set", "data-poster",
	"data-src", "data-srcset", "data-url", "dynsrc", "href", "http-equiv", "imagesrcset", "itemprop", "longdesc",
	"lowsrc", "manifest", "method", "name", "poster", "property", "rel", "src", "srcdoc", "srcset", "style", "type",
	"url", "value", "xlink:href",
}

// names is a hash table of lower-case names, looked up in place: a page has
// hundreds of tags and attributes, most of them not in it.
type names struct {
	slots [256]struct {
		name string
		id   uint8
	}
}

func newNames(list []string) *names {
	t := &names{}
	for i, name := range list {
		h := hashName([]byte(name))
		for t.slots[h].name != "" {
			h++
		}
		t.slots[h].name, t.slots[h].id = name, uint8(i)
	}
	return t
}

// maxName is the longest name looked for, and then some.
const maxName = 20

// hashName is of the length and the lower-case first, middle and last letter.
func hashName(b []byte) uint8 {
	n := len(b)
	return uint8(n)*71 + (b[0]|0x20)*5 + (b[n-1]|0x20)*29 + (b[n/2]|0x20)*113
}

// find is the id of a name in any case.
func (t *names) find(b []byte) (uint8, bool) {
	if len(b) == 0 || len(b) > maxName {
		return 0, false
	}
	for h := hashName(b); ; h++ {
		s := &t.slots[h]
		if s.name == "" {
			return 0, false
		}
		if equalFold(b, s.name) {
			return s.id, true
		}
	}
}

// equalFold compares with a lower-case name, folding ASCII only.
func equalFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

var (
	tagTable  = newNames(tagNames[1:])
	attrTable = newNames(attrNames[:])
	contexts  = makeContexts()
)

// makeContexts spells every "img/@src" once, so that no link allocates its own.
func makeContexts() *[numTags][numAttrs]string {
	var c [numTags][numAttrs]string
	for t := range numTags {
		for a := range numAttrs {
			c[t][a] = tagNames[t] + "/@" + attrNames[a]
		}
	}
	return &c
}

func findTag(b []byte) tagID {
	id, ok := tagTable.find(b)
	if !ok {
		return tagOther
	}
	return tagID(id) + 1
}
