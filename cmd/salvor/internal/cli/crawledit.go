package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/value"
)

func (w *world) crawlEditCommand() *cobra.Command {
	d, deadline := new(dialing), ""
	cmd := &cobra.Command{
		Use: "edit [flags] NAME", Short: "Change a crawl while it runs",
		Long: `Edit changes crawl NAME while it runs. Workers and the plan follow within
seconds. A crawl that was finished by its deadline is taken up again by a later
one, with what was left.`,
		Example:     "  # the operator gives two more days\n  salvor crawl edit example --deadline 2d\n  salvor crawl edit example --deadline none",
		Annotations: map[string]string{"exit": setExit},
		Args:        oneName("crawl", "salvor crawl edit NAME --deadline TIME"), ValidArgsFunction: w.completeNames(d, crawlNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if deadline == "" {
				return salvor.Errorf(salvor.Invalid, "nothing is to be changed").WithHint("name what: --deadline TIME")
			}
			at, _, err := value.Deadline(deadline, w.Now())
			if err != nil {
				return err
			}
			if !at.IsZero() && !at.After(w.Now()) {
				return salvor.Errorf(salvor.Invalid, "the deadline %s has passed", at.UTC().Format(time.RFC3339)).WithHint("to end the crawl now: salvor crawl cancel %s", args[0])
			}
			return w.changeSpec(cmd, d, args[0], func(x *outfit.Spec) (string, error) {
				x.Settings.Deadline, x.Settings.DeadlineSpec = utc(at), deadline
				if at.IsZero() {
					return "it has no deadline any more", nil
				}
				return fmt.Sprintf("its deadline is %s, %s", at.UTC().Format("2006-01-02 15:04:05Z"), deadlineText(at, w.Now())), nil
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Crawl", []option{
		{name: "deadline", value: filled(&deadline, value.DeadlineHint), usage: "end it at `TIME`, or in a span from now; none takes the deadline away"},
	}}}, d.groups("print the crawl as JSON (docs/json.md)")...)...)
	return cmd
}
