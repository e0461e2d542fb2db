#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks the words of src/ against docs/GLOSSARY.md, as far as a machine can:
#
#   * a comment does not begin with Who, What or Whoever: it is a sentence with a subject,
#     and not a question either
#   * comments and texts do not use words that the glossary has another word for
#   * functions of the C library that do not know the size of their target, or cannot say that
#     a number is none, are not called
set -eu
cd "$(dirname "$0")/.."

wrong=$(find src -name '*.[ch]' | sort | xargs perl -0777 -ne '
  my @words = (
    [qr/\b(?:towers?|parcels?|whoever)\b/i, "not a word of the glossary"],
    [qr/\bcannot be had\b/, "unavailable, failed: say which"],
    [qr/\bstands? here twice\b/, "duplicate"],
    [qr/\b(?:is|are) not there\b/, "disconnected, unavailable, missing: say which"],
    [qr/\b(?:lets?|letting) (?:it|them|him|newcomers?|somebody|nobody) in\b/, "admit"],
    [qr/\b(?:turn|turns|turned|turning) (?:it |them )?away\b/, "refuse"],
    [qr/\b(?:send|sends|sent|sending) (?:it |them )?away\b/, "drain"],
  );
  sub at { my ($text, $pos) = @_; 1 + (substr($text, 0, $pos) =~ tr/\n//) }
  # Comments, and strings that are not part of an include; characters so that quotes in them do no harm.
  while (m{(/\*.*?\*/|//[^\n]*)|("(?:\\.|[^"\\\n])*")|\x27(?:\\.|[^\x27\\])\x27}gs) {
    my ($comment, $string, $pos) = ($1, $2, $-[0]);
    my $text = $comment // $string // next;
    my $line = at($_, $pos);
    print "$ARGV:$line: a comment begins with $1\n"
      if defined $comment and $comment =~ m{^/[/*]+[\s*]*(Who|What|Whoever|Whose)\b};
    print "$ARGV:$line: a comment is a question\n"
      if defined $comment and $comment =~ m{^/[/*]+[\s*]*(\w+: )?(is|does|has|may|can|would)\b[^.]*\?}i;
    next if defined $string and $string !~ / /;
    for my $word (@words) {
      while ($text =~ /$word->[0]/g) {
        print "$ARGV:", $line + at($text, $-[0]) - 1, ": \"$&\": $word->[1]\n";
      }
    }
  }
')
banned=$(grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof)[[:space:]]*\(' -r src --include='*.[ch]' || true)
[ -z "$wrong$banned" ] && exit 0
[ -z "$wrong" ] || echo "$wrong"
[ -z "$banned" ] || echo "$banned" | sed 's/$/   (no such calls)/'
exit 1
