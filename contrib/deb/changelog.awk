# CHANGELOG.md as a changelog of Debian's form, an entry for each version, on standard output. Variables: maintainer, and for
# what is not released the version that it gets (snapshot; without it there is no such entry) and the time (date).
function put(begin, text,    words, count, i, line) {
    count = split(text, words, " ")
    line = begin
    for (i = 1; i <= count; i++) {
        if (length(line " " words[i]) > 79) { print line; line = "   " }
        line = line " " words[i]
    }
    print line
}
function end_item() { if (item != "") put("  *", item); item = "" }
function end_entry() { end_item(); if (version != "") printf "\n -- %s  %s\n\n", maintainer, time; version = "" }

/^## \[/ {
    end_entry()
    name = substr($2, 2, length($2) - 2)
    version = name == "Unreleased" ? snapshot : name "-1"
    time = date
    if (name != "Unreleased") {
        if ($4 !~ /^[0-9]+-[0-9]+-[0-9]+$/) { print "CHANGELOG.md: no date: " $0 >"/dev/stderr"; exit 1 }
        ("date -u -R -d " $4) | getline time
    }
    if (version != "") printf "sshanchor (%s) unstable; urgency=medium\n\n", version
    next
}
version == "" { next }
/^### / { end_item(); print "  [ " substr($0, 5) " ]"; next }
/^- / { end_item(); item = substr($0, 3); next }
/^  / { item = item $0 }
END { end_entry() }
