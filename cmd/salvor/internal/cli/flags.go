package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/value"
)

// asked is what one command line says, before files are read and before it
// meets what the archive remembers.
type asked struct {
	settings job.Settings
	changed  []string // names of the flags that were given

	urls        []string
	dir         string
	resume      string
	seedFiles   []string
	excludeFrom []string
	gone        []goneFile
	excludeSets []string
	valueFiles  []string
	noSets      bool
	cookies     string
	headers     []string
	headerParts []headerPart
	proxy       string
	deadline    string
	again       bool
	retry       []salvor.Outcome
	dryRun      bool
	quiet       bool
	verbose     bool
	json        bool
	config      string
}

// defaults of the settings that no flag changed. The texts of the flags name
// them, and a test compares.
func defaults() job.Settings {
	return job.Settings{
		Scope: "host", MaxHops: job.NoLimit, ExcludeSets: []string{"global"}, PageRequisites: true, Robots: "obey",
		MaxRate: 20, Connections: 64, PerOrigin: 6, Tries: 8, WARCMaxSize: 1e9, WARCOutlinks: true, SpoolMax: 10e9,
	}
}

// option is one flag. Those that are settings say how their value is carried
// over into the settings an archive remembers.
type option struct {
	name, short, usage string
	value              pflag.Value
	carry              func(dst, src *job.Settings)
	noArg              string // its value where none is given; "" needs one
}

type optionGroup struct {
	title   string
	options []option
}

// carry copies one field.
func carry[T any](at func(*job.Settings) *T) func(dst, src *job.Settings) {
	return func(dst, src *job.Settings) { *at(dst) = *at(src) }
}

// scopeGroup is shared by save and scope test.
func (a *asked) scopeGroup() optionGroup {
	s := &a.settings
	return optionGroup{"What to save", []option{
		{name: "seeds", short: "i", value: many(&a.seedFiles, any1), usage: "more seeds from `FILE`, one a line, # begins a comment; value=5 after one makes its directory worth 5 (docs/value.md); - is standard input (repeatable)"},
		{name: "scope", value: choice(&s.Scope, "page", "prefix", "host", "domain", "any"), carry: carry(func(s *job.Settings) *string { return &s.Scope }),
			usage: "`KIND`: page, prefix, host, domain or any. Default host: scheme, default port and a leading www. do not matter. any wants a limit"},
		{name: "max-hops", short: "l", value: hops(&s.MaxHops), carry: carry(func(s *job.Settings) *int { return &s.MaxHops }),
			usage: "follow at most `N` links from a seed (default none)"},
		{name: "extra-hops", value: whole(&s.ExtraHops, 0, 100), carry: carry(func(s *job.Settings) *int { return &s.ExtraHops }),
			usage: "save pages linked outside the scope up to `N` links away (default 0)"},
		{name: "include", value: many(&s.Include, expression), carry: carry(func(s *job.Settings) *[]string { return &s.Include }),
			usage: "URLs that match `RE` belong too (repeatable)"},
		{name: "exclude", value: many(&s.Exclude, expression), carry: carry(func(s *job.Settings) *[]string { return &s.Exclude }),
			usage: "URLs that match `RE` do not belong (repeatable)"},
		{name: "exclude-from", value: many(&a.excludeFrom, any1), carry: func(dst, src *job.Settings) {
			dst.ExcludeFrom, dst.ExcludeFiles = src.ExcludeFrom, src.ExcludeFiles
		},
			usage: "exclude what matches a line of `FILE` (repeatable)"},
		{name: "exclude-set", value: many(&a.excludeSets, any1), carry: carry(func(s *job.Settings) *[]string { return &s.ExcludeSets }),
			usage: "exclude also by the built-in set `NAME`: forum, wiki, calendar (repeatable); global is on anyway"},
		{name: "no-exclude-sets", value: truth(&a.noSets), noArg: "true", carry: carry(func(s *job.Settings) *[]string { return &s.ExcludeSets }),
			usage: "use no built-in exclude set, not even global"},
		{name: "page-requisites", value: truth(&s.PageRequisites), noArg: "true", carry: carry(func(s *job.Settings) *bool { return &s.PageRequisites }),
			usage: "save images, styles, scripts, fonts and media of saved pages wherever they live (default on; =false turns it off)"},
	}}
}

// groups are all flags of save, in the order of the help.
func (a *asked) groups() []optionGroup {
	return []optionGroup{a.archiveGroup(), a.scopeGroup(), a.valueGroup(), a.limitGroup(), a.mannersGroup(), a.networkGroup(), a.recordGroup(), a.outputGroup()}
}

func (a *asked) archiveGroup() optionGroup {
	return optionGroup{"Archive", []option{
		{name: "dir", value: filled(&a.dir, "name a directory, or leave --dir out for ./HOST-YYYYMMDDhhmmss"), usage: "archive directory `DIR` (default ./HOST-YYYYMMDDhhmmss); the same command on it again resumes"},
		{name: "resume", value: one(&a.resume, any1), noArg: newestUnfinished,
			usage: "resume the archive `DIR` as it was begun; without DIR the newest unfinished one below this directory. Flags given anew replace what they said before"},
		{name: "store", value: one(&a.settings.Store, storeURL), carry: carry(func(s *job.Settings) *string { return &s.Store }),
			usage: "keep the archive in a bucket: `URL` is s3://BUCKET/PREFIX with ?endpoint=, region= and more (docs/store.md). DIR holds state and spool then; with an empty DIR the same command goes on from the store"},
		{name: "mirror", value: one(&a.settings.Mirror, storeURL), carry: carry(func(s *job.Settings) *string { return &s.Mirror }),
			usage: "with --store: keep a second copy in the bucket of this `URL`, filled behind the first"},
		{name: "copies", value: whole(&a.settings.Copies, 1, 2), carry: carry(func(s *job.Settings) *int { return &s.Copies }),
			usage: "with --mirror and `N` 2: a URL is saved only when both stores have it (default 1)"},
		{name: "config", value: filled(&a.config, "name a file"), usage: "read settings from `FILE`: YAML, the long names of these flags; flags given count more"},
		{name: "again", value: truth(&a.again), noArg: "true", usage: "crawl a finished archive anew; what did not change becomes a revisit record"},
		{name: "retry", value: retryValue(&a.retry), usage: "queue URLs with this `OUTCOME` again: failed, refused, gone, excluded, too_big ... (repeatable)"},
		{name: "probe", value: truth(&a.settings.Probe), noArg: "true", carry: carry(func(s *job.Settings) *bool { return &s.Probe }),
			usage: "look at the sites of the seeds meanwhile for signs of their end, and ask registries and name servers about them (docs/risk.md; default off: nobody is asked)"},
		{name: "dry-run", short: "n", value: truth(&a.dryRun), noArg: "true", usage: "say what would be done, and do nothing"},
	}}
}

func (a *asked) limitGroup() optionGroup {
	s := &a.settings
	return optionGroup{"When to end", []option{
		{name: "deadline", value: text(&a.deadline), carry: carry(func(s *job.Settings) *string { return &s.DeadlineSpec }),
			usage: "end at `WHEN`: a time with its zone (\"2026-12-01 18:00 +01:00\", RFC 3339) or a duration (18h, 36h30m, 2d) that becomes absolute at the first start; none removes it"},
		{name: "limit-urls", value: count(&s.LimitURLs), carry: carry(func(s *job.Settings) *int64 { return &s.LimitURLs }), usage: "end after `N` captured URLs"},
		{name: "limit-bytes", value: one(&s.LimitBytes, value.Size), carry: carry(func(s *job.Settings) *int64 { return &s.LimitBytes }), usage: "end after `SIZE` received, for example 500MB"},
		{name: "max-body", value: one(&s.MaxBody, value.Size), carry: carry(func(s *job.Settings) *int64 { return &s.MaxBody }), usage: "cut and mark bodies larger than `SIZE` (default none)"},
	}}
}

func (a *asked) mannersGroup() optionGroup {
	s := &a.settings
	return optionGroup{"How politely", []option{
		{name: "robots", value: choice(&s.Robots, "obey", "strict", "ignore"), carry: carry(func(s *job.Settings) *string { return &s.Robots }),
			usage: "`POLICY` for robots.txt: obey, strict (wait while it is unreachable) or ignore (default obey)"},
		{name: "max-rate", value: one(&s.MaxRate, value.Rate), carry: func(dst, src *job.Settings) { dst.MaxRate, dst.MaxRateGiven = src.MaxRate, true },
			usage: "at most `R` requests per second to an origin (default 20; starts at 2 and grows while the server stays well; 0 lifts the ceiling). When given, Crawl-delay is not obeyed"},
		{name: "limit-rate", value: one(&s.LimitRate, value.ByteRate), carry: carry(func(s *job.Settings) *int64 { return &s.LimitRate }), usage: "receive at most `B` bytes per second in all, for example 2MB"},
		{name: "connections", value: whole(&s.Connections, 1, 10000), carry: carry(func(s *job.Settings) *int { return &s.Connections }), usage: "at most `N` connections in all (default 64)"},
		{name: "per-origin", value: whole(&s.PerOrigin, 1, 256), carry: carry(func(s *job.Settings) *int { return &s.PerOrigin }), usage: "at most `N` connections to an origin (default 6)"},
		{name: "tries", value: whole(&s.Tries, 1, 100), carry: carry(func(s *job.Settings) *int { return &s.Tries }), usage: "try a URL `N` times, 30 s to 1 h apart (default 8)"},
	}}
}

func (a *asked) networkGroup() optionGroup {
	s := &a.settings
	return optionGroup{"Network", []option{
		{name: "header", value: many(&a.headers, headerArg), usage: "send `\"NAME: VALUE\"` with every request; @FILE reads one a line (repeatable). Authorization and the like go to the hosts of the seeds only. Never in reports, but in the request records, as sent",
			carry: func(dst, src *job.Settings) {
				dst.HeaderNames, dst.Secrets.HeaderFiles, dst.Secrets.Headers = src.HeaderNames, src.Secrets.HeaderFiles, src.Secrets.Headers
			}},
		{name: "cookies", value: text(&a.cookies), carry: func(dst, src *job.Settings) {
			dst.Secrets.CookiesFile, dst.Secrets.Cookies = src.Secrets.CookiesFile, src.Secrets.Cookies
		},
			usage: "send the cookies of `FILE` (Netscape format) to the hosts they belong to"},
		{name: "user-agent", value: filled(&s.UserAgent, "write a text, or leave --user-agent out: the default names salvor and --contact"), carry: func(dst, src *job.Settings) { dst.UserAgent, dst.RobotsAgent = src.UserAgent, src.RobotsAgent },
			usage: "`TEXT` of the User-Agent header (default names salvor and --contact)"},
		{name: "bind-address", value: one(&s.BindAddress, address), carry: func(dst, src *job.Settings) { dst.BindAddress = src.BindAddress }, usage: "connect from this `IP` address"},
		{name: "proxy", value: text(&a.proxy), usage: "go through `URL` (http:// or socks5://, credentials are kept secret); @FILE reads it from a file",
			carry: func(dst, src *job.Settings) {
				dst.Proxy, dst.Secrets.ProxyFile, dst.Secrets.ProxyUser, dst.Secrets.ProxyPass = src.Proxy, src.Secrets.ProxyFile, src.Secrets.ProxyUser, src.Secrets.ProxyPass
			}},
		{name: "tls-verify", value: truth(&s.TLSVerify), noArg: "true", carry: carry(func(s *job.Settings) *bool { return &s.TLSVerify }),
			usage: "refuse servers with an invalid certificate (default off: captured, noted and counted)"},
		{name: "allow-net", value: many(&s.AllowNet, prefix), carry: func(dst, src *job.Settings) { dst.AllowNet = src.AllowNet },
			usage: "permit addresses in `CIDR` (repeatable). Without it no loopback, private, link-local or metadata address is dialled"},
	}}
}

func (a *asked) recordGroup() optionGroup {
	s := &a.settings
	return optionGroup{"Records", []option{
		{name: "name", value: text(&s.Name), carry: carry(func(s *job.Settings) *string { return &s.Name }), usage: "`NAME` of the crawl (default that of DIR)"},
		{name: "operator", value: text(&s.Operator), carry: carry(func(s *job.Settings) *string { return &s.Operator }), usage: "`WHO` runs it, for warcinfo"},
		{name: "description", value: text(&s.Description), carry: carry(func(s *job.Settings) *string { return &s.Description }), usage: "`TEXT` about it, for warcinfo"},
		{name: "contact", value: text(&s.Contact), carry: carry(func(s *job.Settings) *string { return &s.Contact }), usage: "`URL` or mail address of the operator, for servers' owners"},
		{name: "warc-header", value: many(&s.WARCHeaders, warcHeader), carry: func(dst, src *job.Settings) { dst.WARCHeaders = src.WARCHeaders }, usage: "add `\"NAME: VALUE\"` to each warcinfo record (repeatable)"},
		{name: "warc-max-size", value: one(&s.WARCMaxSize, warcSize), carry: carry(func(s *job.Settings) *int64 { return &s.WARCMaxSize }), usage: "begin a new file at `SIZE` (default 1GB)"},
		{name: "warc-prefix", value: one(&s.WARCPrefix, warcPrefix), carry: carry(func(s *job.Settings) *string { return &s.WARCPrefix }), usage: "`TEXT` that file names begin with (default the host of the first seed)"},
		{name: "spool-max", value: one(&s.SpoolMax, value.Size), carry: carry(func(s *job.Settings) *int64 { return &s.SpoolMax }), usage: "with --store: fetch nothing new while `SIZE` of segments wait for it (default 10GB)"},
		{name: "warc-outlinks", value: truth(&s.WARCOutlinks), noArg: "true", carry: carry(func(s *job.Settings) *bool { return &s.WARCOutlinks }),
			usage: "write metadata records with the links of each page (default on; =false turns it off)"},
	}}
}

func (a *asked) outputGroup() optionGroup {
	return optionGroup{"Output", []option{
		{name: "quiet", short: "q", value: truth(&a.quiet), noArg: "true", usage: "print errors and the result only"},
		{name: "verbose", short: "v", value: truth(&a.verbose), noArg: "true", usage: "print more, and log for debugging"},
		{name: "json", value: truth(&a.json), noArg: "true", usage: "print progress and the result as JSON, one value a line (docs/json.md)"},
	}}
}

// helpFlag puts --help under the last heading.
func helpFlag(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	f := cmd.Flags().Lookup("help")
	f.Usage = "print this help"
	f.Annotations = map[string][]string{groupKey: {"Output"}}
}

// register declares a group's flags, which the help lists in this order.
func register(fs *pflag.FlagSet, g optionGroup) {
	fs.SortFlags = false
	for _, o := range g.options {
		f := fs.VarPF(o.value, o.name, o.short, o.usage)
		f.NoOptDefVal = o.noArg
		f.Annotations = map[string][]string{groupKey: {g.title}}
	}
}

// minWARC keeps a slip of the unit from making a file a record.
const minWARC = 1 << 20

func warcSize(s string) (int64, error) {
	n, err := value.Size(s)
	if err == nil && n < minWARC {
		return 0, salvor.Errorf(salvor.Invalid, "%q is too small for a WARC file", s).WithHint("write 1MiB or more")
	}
	return n, err
}

func warcPrefix(s string) (string, error) {
	for _, c := range s {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
		if !ok {
			return "", salvor.Errorf(salvor.Invalid, "%q cannot begin a file name", s).WithHint("use letters, digits, - _ and . only")
		}
	}
	if s == "" || s[0] == '.' || s[0] == '-' || len(s) > 100 {
		return "", salvor.Errorf(salvor.Invalid, "%q cannot begin a file name", s).WithHint("begin with a letter or digit, at most 100 characters")
	}
	return s, nil
}
