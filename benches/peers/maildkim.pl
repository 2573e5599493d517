#!/usr/bin/perl
# Mail::DKIM as a peer; see README.md.

use strict;
use warnings;

use Mail::DKIM::PrivateKey;
use Mail::DKIM::PublicKey;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
use Time::HiRes qw(time);

my ( $verb, $dir, $keys ) = @ARGV;
my @messages = map { read_file($_) } sort glob "$dir/*";
my $key      = Mail::DKIM::PrivateKey->load( File => "$keys/rsa2048.pem" );
my $record   = join '', read_file("$keys/rsa2048.txt") =~ /"([^"]*)"/g;

{
    no warnings 'redefine';
    *Mail::DKIM::PublicKey::fetch_async = sub {
        my ( $class, %options ) = @_;
        my $public = $class->parse($record);
        return sub { $options{Callbacks}{Success}->($public) if $options{Callbacks}; $public };
    };
}

$| = 1;
go();
while (<STDIN>) {
    my $begin = time;
    go();
    print( ( time - $begin ) * 1e6 / @messages, "\n" );
}

sub go {
    for my $message (@messages) {
        my $dkim = $verb eq 'sign'
            ? Mail::DKIM::Signer->new(
                Algorithm => 'rsa-sha256', Method => 'relaxed/relaxed',
                Domain    => 'test.example', Selector => 'rsa2048', Key => $key,
            )
            : Mail::DKIM::Verifier->new;
        $dkim->PRINT($message);
        $dkim->CLOSE;
        if ( $verb eq 'sign' ) { $dkim->signature->as_string }
        elsif ( $dkim->result ne 'pass' ) { die "a message fails: " . $dkim->result_detail . "\n" }
    }
}

sub read_file {
    my ($path) = @_;
    local $/;
    open my $file, '<:raw', $path or die "$path: $!\n";
    return <$file>;
}
