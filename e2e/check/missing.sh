#!/bin/sh
# Says loudly which end-to-end tests cannot run on this machine, because
# `go test` keeps quiet about what it skips.
#
# usage: missing.sh CHECKERS MINIO
export PATH="$PATH:/usr/sbin"
missing=
for p in nginx wget php-fpm8.2 python3 ip; do
	command -v "$p" >/dev/null || missing="$missing $p"
done
[ -d /usr/share/doc/libboost1.74-doc/doc ] || missing="$missing libboost1.74-doc"
[ -d /usr/share/dokuwiki ] || missing="$missing dokuwiki"
[ -e "$1/installed.txt" ] || missing="$missing python-checkers(make_checkers)"
[ -x "$2/minio" ] || missing="$missing minio(make_minio)"
[ -z "$missing" ] && exit 0
cat >&2 <<END

*****************************************************************
** NOT ALL IS TESTED on this machine. Missing:
**   $missing
** .ci/run installs what is needed on Debian 12.
*****************************************************************

END
