#!/usr/bin/perl
# Signs and verifies with Mail::DKIM, for the interoperation suite.
#
#   maildkim.pl version
#   maildkim.pl sign --domain D --selector S --key K --canon h/b --algorithm A
#                    [--headers a:b:c] [--oversign a:b] [--in FILE] [--out FILE]
#   maildkim.pl verify --records zone.json [--in FILE] [--out FILE]
#   maildkim.pl seal --domain D --selector S --key K --algorithm A --id NAME --status none|pass
#                    [--in FILE] [--out FILE]
#   maildkim.pl chain --records zone.json [--in FILE] [--out FILE]
#   maildkim.pl domainkeys --domain D --selector S --key K --canon simple|nofws [--headers all]
#                    [--in FILE] [--out FILE]
#   maildkim.pl batch JOBS
#
# The message has CRLF line ends. A batch is one job a line, its arguments
# separated by tabs. A job that cannot be done leaves no --out but a file of
# that name and `.err`. ../README.md has the rules that all peers share.

use strict;
use warnings;

use JSON::PP qw(decode_json);
use Mail::DKIM;
use Mail::DKIM::ARC::Signer;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::DNS;
use Mail::DKIM::DkSignature;
use Mail::DKIM::PrivateKey;
use Mail::DKIM::Signer;
use Mail::DKIM::TextWrap;
use Mail::DKIM::Verifier;
use Net::DNS;

my %VERBS = ( sign => \&sign, verify => \&verify, seal => \&seal, chain => \&chain, domainkeys => \&domainkeys );

exit main(@ARGV);

sub main {
    my @args = @_;
    if ( @args == 1 && $args[0] eq 'version' ) {
        print "$Mail::DKIM::VERSION\n";
        return 0;
    }
    return run_job(@args) if @args != 2 || $args[0] ne 'batch';

    open my $jobs, '<', $args[1] or die "cannot open $args[1]: $!\n";
    while ( my $line = <$jobs> ) {
        chomp $line;
        run_job( split /\t/, $line );
    }
    return 0;
}

sub run_job {
    my ( $verb, %job ) = @_;
    my $code = $VERBS{ $verb // '' } or die "a verb is needed: sign, verify, batch or version\n";
    my $result = eval { $code->( \%job ) };
    my $error  = $@;
    if ( defined $result ) {
        write_file( $job{'--out'}, $result );
        return 0;
    }
    $error =~ s/\s+/ /g;
    my $unsupported = $error =~ s/^unsupported //;
    my $line        = ( $unsupported ? 'unsupported ' : 'refused ' ) . "$error\n";
    if   ( defined $job{'--out'} ) { write_file( "$job{'--out'}.err", $line ) }
    else                           { print STDERR $line }
    return $unsupported ? 3 : 1;
}

sub sign {
    my ($job) = @_;
    my $message = read_file( $job->{'--in'} );
    my %key     = ( KeyFile => $job->{'--key'} );
    if ( $job->{'--algorithm'} eq 'ed25519-sha256' ) {
        $INC{'Crypt/PK/Ed25519.pm'} or die "unsupported this Mail::DKIM has no ed25519-sha256\n";
        %key = ( Key => Mail::DKIM::PrivateKey->load( File => $job->{'--key'}, Type => 'ed25519' ) );
    }
    my $signer = Mail::DKIM::Signer->new(
        %key,
        Algorithm => $job->{'--algorithm'},
        Method    => $job->{'--canon'},
        Domain    => $job->{'--domain'},
        Selector  => $job->{'--selector'},
    );
    my %wanted = map { lc $_ => '*' } split /:/, $job->{'--headers'} // '';
    $wanted{ lc $_ } = '+' for split /:/, $job->{'--oversign'} // '';
    $signer->extended_headers( \%wanted ) if %wanted;
    $signer->PRINT($message);
    $signer->CLOSE;
    my $field = $signer->signature->as_string;
    $field =~ s/\r?\n(?=[ \t])/\r\n/g;
    return "$field\r\n$message";
}

sub verify {
    my ($job) = @_;
    Mail::DKIM::DNS::resolver( Zone->new( $job->{'--records'} ) );
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT( read_file( $job->{'--in'} ) );
    $verifier->CLOSE;
    return join '', map { verdict($_) . "\n" } $verifier->signatures;
}

sub seal {
    my ($job) = @_;
    my $message = read_file( $job->{'--in'} );
    my $signer  = Mail::DKIM::ARC::Signer->new(
        Key       => Mail::DKIM::PrivateKey->load( File => $job->{'--key'} ),
        Algorithm => $job->{'--algorithm'},
        Chain     => $job->{'--status'},
        Domain    => $job->{'--domain'},
        Selector  => $job->{'--selector'},
        SrvId     => $job->{'--id'},
        Timestamp => time,
    );
    $signer->PRINT($message);
    $signer->CLOSE;
    $signer->result eq 'sealed' or die $signer->result_reason . "\n";
    my $fields = join '', map { "$_\r\n" } $signer->as_strings;
    $fields =~ s/\r?\n/\r\n/g;
    return $fields . $message;
}

sub chain {
    my ($job) = @_;
    Mail::DKIM::DNS::resolver( Zone->new( $job->{'--records'} ) );
    my $verifier = Mail::DKIM::ARC::Verifier->new;
    $verifier->PRINT( read_file( $job->{'--in'} ) );
    $verifier->CLOSE;
    return "pass\n" if $verifier->result eq 'pass';
    return 'fail ' . ( $verifier->result_detail =~ s/\s+/ /gr ) . "\n";
}

# RFC 4870; --headers all names the fields of the message in h=.
sub domainkeys {
    my ($job) = @_;
    my $message = read_file( $job->{'--in'} );
    my $policy  = sub {
        my ($signer) = @_;
        $signer->add_signature(
            Mail::DKIM::DkSignature->new(
                Method   => $job->{'--canon'},
                Domain   => $job->{'--domain'},
                Selector => $job->{'--selector'},
                $job->{'--headers'} ? ( Headers => $signer->headers ) : (),
            )
        );
        return;
    };
    my $signer = Mail::DKIM::Signer->new( Policy => $policy, KeyFile => $job->{'--key'} );
    $signer->PRINT($message);
    $signer->CLOSE;
    my $field = $signer->signature->as_string;
    $field =~ s/\r?\n(?=[ \t])/\r\n/g;
    return "$field\r\n$message";
}

sub verdict {
    my ($signature) = @_;
    return 'pass' if $signature->result eq 'pass';
    return 'fail ' . $signature->result_detail =~ s/\s+/ /gr;
}

sub read_file {
    my ($path) = @_;
    open my $handle, ( defined $path ? '<' : '<&' ), $path // \*STDIN or die "cannot open: $!\n";
    binmode $handle;
    local $/ = undef;
    return <$handle> // '';
}

sub write_file {
    my ( $path, $text ) = @_;
    open my $handle, ( defined $path ? '>' : '>&' ), $path // \*STDOUT or die "cannot write: $!\n";
    binmode $handle;
    print {$handle} $text;
    close $handle or die "cannot write: $!\n";
    return;
}

# The part of Net::DNS::Resolver that Mail::DKIM calls, answering from a file.
package Zone;

sub new {
    my ( $class, $path ) = @_;
    my $zone = main::decode_json( main::read_file($path) );
    return bless { map { lc $_ => $zone->{$_} } keys %$zone }, $class;
}

sub send {
    my ( $self, $name, $type ) = @_;
    my $reply = Net::DNS::Packet->new( $name, $type );
    my $texts = ( $self->{ lc "$name." } // {} )->{$type};
    $reply->header->rcode( $texts ? 'NOERROR' : 'NXDOMAIN' );
    for my $text ( @{ $texts // [] } ) {
        my @strings = $text =~ /(.{1,255})/gs;
        $reply->push( answer => Net::DNS::RR->new( owner => $name, type => $type, txtdata => \@strings ) );
    }
    return $reply;
}

sub errorstring { return 'NOERROR' }
