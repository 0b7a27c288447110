package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/outfit"
)

func (w *world) crawlAddressCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "address", Short: "Ask hosts whose names are gone at their last known addresses", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.addressListCommand(), w.addressSetCommand(), w.addressClearCommand())
	return cmd
}

func (w *world) addressSetCommand() *cobra.Command {
	d, a := new(dialing), outfit.Address{}
	cmd := &cobra.Command{
		Use: "set [flags] NAME HOST ADDRESS", Short: "Ask a host at an address once its name is gone",
		Long: `Set has the workers of crawl NAME ask HOST at ADDRESS while its name does not
exist in the DNS: a server often still answers there. Be sure the address is
still the host's; a provider gives it to the next customer one day. What answers
must show a certificate for the host, unless --any-certificate says you know
it without. Every record made so says the reason.`,
		Example: `  salvor crawl address set example forum.example.org 203.0.113.7 \
    --reason "its operator wrote that the server runs until Friday"`,
		Annotations: map[string]string{"exit": setExit},
		Args:        namesOf("salvor crawl address set NAME HOST ADDRESS", "crawl", "host", "address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			a.Host, a.At = hostArg(args[1]), w.Now().UnixMilli()
			if a.Address, err = netip.ParseAddr(args[2]); err != nil {
				return salvor.Errorf(salvor.Invalid, "%q is no address", args[2]).WithHint("write one of IPv4 or IPv6, such as 203.0.113.7")
			}
			if err := a.Check(); err != nil {
				return err
			}
			return w.changeSpec(cmd, d, args[0], func(x *outfit.Spec) (string, error) {
				return fmt.Sprintf("%s is asked at %s once its name is gone", a.Host, a.Address), x.SetAddress(a)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Address", []option{
		{name: "reason", value: filled(&a.Reason, "say how it is known that the host is still there"), usage: "say in `TEXT` how it is known that the host is still there (required)"},
		{name: "any-certificate", value: truth(&a.AnyName), usage: "take what answers without TLS, or with a certificate that does not name the host", noArg: "true"},
	}}}, d.groups("print the crawl as JSON (docs/json.md)")...)...)
	return cmd
}

// hostArg is a host's name as the frontier has it.
func hostArg(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

func (w *world) addressClearCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "clear [flags] NAME HOST", Short: "Ask a host by its name only",
		Long:        "Clear takes back what salvor crawl address set said of HOST.",
		Annotations: map[string]string{"exit": setExit},
		Args:        namesOf("salvor crawl address clear NAME HOST", "crawl", "host"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.changeSpec(cmd, d, args[0], func(x *outfit.Spec) (string, error) {
				if !x.ClearAddress(hostArg(args[1])) {
					return "", salvor.Errorf(salvor.NotFound, "crawl %s has no address for %q", args[0], args[1]).WithHint("see: salvor crawl address list %s", args[0])
				}
				return hostArg(args[1]) + " is asked by its name only", nil
			})
		},
	}
	declare(cmd, d.groups("print the crawl as JSON (docs/json.md)")...)
	return cmd
}

func (w *world) addressListCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "list [flags] NAME", Short: "List the last known addresses of a crawl's hosts",
		Long: "List shows which hosts of crawl NAME are asked at an address once their names\nare gone, and why.",
		Args: oneName("crawl", "salvor crawl address list NAME"), ValidArgsFunction: w.completeNames(d, crawlNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				crawl, err := findCrawl(ctx, c, args[0])
				if err != nil {
					return err
				}
				x, err := outfit.SpecOf(crawl)
				if err != nil {
					return err
				}
				return w.listAddresses(x.Addresses, d.json)
			})
		},
	}
	declare(cmd, d.groups("print them as JSON (docs/json.md)")...)
	return cmd
}

func (w *world) listAddresses(all []outfit.Address, asJSON bool) error {
	if asJSON {
		return w.printJSON(append([]outfit.Address{}, all...))
	}
	var b strings.Builder
	var rows [][]string
	for _, a := range all {
		proof := "names it"
		if a.AnyName {
			proof = "any"
		}
		rows = append(rows, []string{a.Host, a.Address.String(), at(a.At), proof, a.Reason})
	}
	if len(rows) == 0 {
		b.WriteString("every host is asked by its name only\n")
	} else {
		table(&b, "", []string{"HOST", "ADDRESS", "SINCE", "CERTIFICATE", "REASON"}, rows)
	}
	_, err := w.stdout.Write([]byte(w.painted(b.String())))
	return err
}
