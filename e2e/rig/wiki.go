package rig

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Wiki is Debian's DokuWiki behind PHP-FPM and nginx, with a configuration and
// pages of its own.
type Wiki struct {
	*Nginx
	php *exec.Cmd
}

// Page is one page of a wiki. A page with more than one text has a history.
type Page struct {
	ID    string   `json:"id"`
	Texts []string `json:"texts"`
}

// WikiDir is where Debian puts DokuWiki.
const WikiDir = "/usr/share/dokuwiki"

const wikiConf = `<?php
$conf['title'] = 'The Club';
$conf['savedir'] = '%s/data';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['updatecheck'] = 0;
$conf['lang'] = 'en';
$conf['baseurl'] = '';
`

// wikiSeed saves pages as people do, so that the wiki keeps their history.
const wikiSeed = `<?php
define('NOSESSION', 1);
require '` + WikiDir + `/inc/init.php';
$pages = json_decode(file_get_contents($argv[1]), true);
for ($round = 0; ; $round++) {
    $more = false;
    foreach ($pages as $p) {
        if (!isset($p['texts'][$round])) continue;
        $INPUT->server->set('REMOTE_USER', $round ? 'bob' : 'alice');
        saveWikiText($p['id'], $p['texts'][$round], 'edit ' . $round);
        $more = true;
    }
    if (!$more) break;
    sleep(1); // a revision is named by its second
}
`

// StartWiki makes a wiki in dir with these pages and users and serves it.
// media are files of its data/media directory.
func StartWiki(dir string, users []string, pages []Page, media map[string][]byte) (*Wiki, error) {
	fpm, err := LookPath("php-fpm8.2")
	if err != nil {
		return nil, err
	}
	cli, err := LookPath("php8.2")
	if err != nil {
		return nil, err
	}
	if err := layWiki(dir, users, media); err != nil {
		return nil, err
	}
	if err := seedWiki(cli, dir, pages); err != nil {
		return nil, err
	}
	w := new(Wiki)
	if w.php, err = startFPM(fpm, dir); err != nil {
		return nil, err
	}
	w.Nginx, err = StartNginx(NginxConfig{Dir: filepath.Join(dir, "nginx"), Root: WikiDir, Server: `
    index doku.php;
    location ~ /(inc|bin|vendor)/ { deny all; }
    location ~ \.php$ {
      include /etc/nginx/fastcgi_params;
      fastcgi_param HTTP_HOST $http_host; # Debian's file drops the port
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:` + filepath.Join(dir, "php.sock") + `;
    }`})
	if err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

// layWiki makes the directories that DokuWiki wants.
func layWiki(dir string, users []string, media map[string][]byte) error {
	for _, d := range strings.Fields("conf pages attic media media_attic media_meta meta cache index locks log tmp") {
		p := filepath.Join(dir, "data", d)
		if d == "conf" {
			p = filepath.Join(dir, d)
		}
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
	}
	var auth strings.Builder
	for _, u := range users {
		// The hash is nobody's password.
		fmt.Fprintf(&auth, "%s:$1$x$0123456789012345678901:%s:%s@example.org:user\n", u, strings.ToUpper(u[:1])+u[1:], u)
	}
	files := map[string]string{
		"conf/local.php":      fmt.Sprintf(wikiConf, dir),
		"conf/users.auth.php": auth.String(),
		"conf/acl.auth.php":   "*\t@ALL\t1\n*\t@user\t8\n",
		// Debian's preload.php looks for a configuration only where none is named.
		"prepend.php": "<?php define('DOKU_CONF', '" + dir + "/conf/');\n",
		"seed.php":    wikiSeed,
	}
	for name, body := range media {
		files["data/media/"+name] = string(body)
	}
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func seedWiki(cli, dir string, pages []Page) error {
	b, err := json.Marshal(pages)
	if err != nil {
		return err
	}
	list := filepath.Join(dir, "pages.json")
	if err := os.WriteFile(list, b, 0o644); err != nil {
		return err
	}
	out, err := exec.Command(cli, "-d", "auto_prepend_file="+dir+"/prepend.php", dir+"/seed.php", list).CombinedOutput()
	if err != nil {
		return fmt.Errorf("seed wiki: %w\n%s", err, out)
	}
	return nil
}

const fpmConf = `[global]
error_log = %[1]s/php.log
daemonize = no
[wiki]
%[2]s
listen = %[1]s/php.sock
pm = static
pm.max_children = 2
php_admin_value[auto_prepend_file] = %[1]s/prepend.php
php_admin_value[session.save_path] = %[1]s/data/tmp
`

func startFPM(bin, dir string) (*exec.Cmd, error) {
	conf, user := filepath.Join(dir, "fpm.conf"), ""
	args := []string{"-F", "-y", conf}
	if os.Geteuid() == 0 {
		user, args = "user = root\ngroup = root", append(args, "-R")
	}
	if err := os.WriteFile(conf, []byte(fmt.Sprintf(fpmConf, dir, user)), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start php-fpm: %w", err)
	}
	for range 500 {
		if _, err := os.Stat(filepath.Join(dir, "php.sock")); err == nil {
			return cmd, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	log, _ := os.ReadFile(filepath.Join(dir, "php.log"))
	return nil, fmt.Errorf("start php-fpm: no socket: %s", log)
}

// Stop ends web server and PHP.
func (w *Wiki) Stop() {
	if w.Nginx != nil {
		w.Nginx.Stop()
	}
	_ = w.php.Process.Signal(syscall.SIGTERM)
	_ = w.php.Wait()
}
