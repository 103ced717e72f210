#!/usr/bin/perl
# Greets whoever connects, by the name that the kernel vouches for: perl peercred.pl /run/hello/hello.sock
use strict; use warnings;
use IO::Socket::UNIX;

$SIG{PIPE} = "IGNORE";    # a client that has gone ends nobody but itself
my $listener = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 128) or die "$ARGV[0]: $!\n";
chmod 0666, $ARGV[0];    # anybody may connect, as himself
while (my $client = $listener->accept) {
    my ($pid, $uid, $gid) = unpack 'i3', getsockopt($client, SOL_SOCKET, 17);    # SO_PEERCRED, unix(7)
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/ }           # the request's head
    my $body = 'Hello ' . (getpwuid($uid) // "uid $uid") . "\n";
    print $client "HTTP/1.1 200 OK\r\nContent-Length: @{[length $body]}\r\nConnection: close\r\n\r\n$body";
    close $client;
}
