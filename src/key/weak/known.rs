//! Keys whose private half is published, so that anyone can sign with them.
//!
//! Each line was made from a copy of the private key, or checked against a signature by it, with
//! `openssl pkey -pubout -outform DER | sha256sum`. There is no private key in RFC 6376 but the one of its
//! Appendix C, which RFC 4871 has too.

/// Where the private half of the key with this SHA-256 of its SubjectPublicKeyInfo is published.
pub(super) fn whose(sha256: &[u8; 32]) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(hex, _)| super::blocklist::from_hex(hex).as_ref() == Some(sha256))
        .map(|(_, whose)| *whose)
}

const DKIMKIT: &str = "a test key of dkimkit";
const DKIMPY: &str = "a test key of dkimpy";
const MAIL_AUTH: &str = "a test key of mail-auth";
const MAILAUTH: &str = "a test key of mailauth";
const RFC_9500: &str = "a test key of RFC 9500";

pub(super) const KNOWN: &[(&str, &str)] = &[
    (
        "dba3f0cb69f06d70e41abc6ac5812bc3d2639a24b621ba5d241202ac89cb7b9c",
        "the example of RFC 6376, Appendix C",
    ),
    (
        "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9",
        "the Ed25519 example of RFC 8463, Appendix A",
    ),
    (
        "362d9a99501883f6d1ac717c53fff96582fb0a7c52464cb64b9082aa887bc7b4",
        "the RSA example of RFC 8463, Appendix A",
    ),
    (
        "9a9e5b0f404f4e2d4386e38b04ac91e535946dc2a7f8d84a31404b476e5c35e1",
        RFC_9500,
    ),
    (
        "8fb6bad671cfe698393c453357da61b56d757ab8c0f3fb9c87f2849e63131878",
        RFC_9500,
    ),
    (
        "96465ea5dc9bb2da7b351d808a7196e5761f2412a5040131c68d719aaba28fb9",
        RFC_9500,
    ),
    (
        "1c6fcae26d025791aca74da12cba8ad7c94e838575f4702bed6e55b45ed2ad9a",
        "a test key of OpenDKIM",
    ),
    (
        "56aeb663b76a1f8f4549779b7b80d281b385e9a31018d13b74c94f96d7d3bd4a",
        DKIMPY,
    ),
    (
        "0b2d127aa4c7a78eb79660242e84ab36a904445315874827e6761fa7239223d3",
        DKIMPY,
    ),
    (
        "39982f7c8f79ad9fb4727004d70d5aa456adeb990ee426a2f0ea88f9a8e6fc37",
        DKIMPY,
    ),
    (
        "f8b702994dcf035fa0d0db44e0f79063d5ace6cb1b58c3268428e3f163d8aee1",
        DKIMPY,
    ),
    (
        "ac3aca3565d4e4ce8c5660529ec0cb431fc5b03048968031958456a4d47e97c7",
        MAIL_AUTH,
    ),
    (
        "0ca27d1e46f5f28608b92c3e18cdd37925e64a16e6d604e570519f81300b78cf",
        MAIL_AUTH,
    ),
    (
        "ee271b6a04886ea00750789e4d7a0ac148b34bd2339777db8a33fe062e1e7e5b",
        MAIL_AUTH,
    ),
    (
        "92287ef14f74873521e2e200694600116441728e2c31253f1789ce183ff70864",
        MAIL_AUTH,
    ),
    (
        "13090fc9292ffb0b20e4f20890b123c573c77ee26b67c1e06227155d72f06916",
        MAIL_AUTH,
    ),
    (
        "32d0ec0ac968be707f79adbd4ad30c2ae53be994917e8765cb43103208fd698a",
        MAIL_AUTH,
    ),
    (
        "83216d1890efe6f4df58f5c52bac710cc8034cd59a705990fab0592e9d1463c6",
        MAIL_AUTH,
    ),
    (
        "fffca55b29db7470d91b51bbb9c0774f19bc680eeb1e9427eef551820301867c",
        MAIL_AUTH,
    ),
    (
        "2b9ccffd7c82d04b8d445d6103bd7ec79b4c070d7eea471eb9b7f639513ab4a6",
        MAIL_AUTH,
    ),
    (
        "a5904b3faecc198483d40bd53f062d8d2f92c2d401adaed1a85e8cb19cf9b3f5",
        MAIL_AUTH,
    ),
    (
        "2321126408487ffc77c4b62446254d8271cf79c4201d5fbba991ca336a081fbf",
        MAILAUTH,
    ),
    (
        "c6f802696d9a43cd2e17527be225c66af73bb1033ac688cad121c3c1359f62a1",
        MAILAUTH,
    ),
    (
        "61a0597313edb2b6141949f8408242c432ad02659a89a4b68d7289f6bf5becdd",
        DKIMKIT,
    ),
    (
        "5a57b8235cca2d30f753d686ecce2219f7b8adbeb5685ba8cda31cf62b069f30",
        DKIMKIT,
    ),
    (
        "f020b751734fb6c4283fed7ef766dbce2e934cf1def5a4022ef48fedc5003e28",
        DKIMKIT,
    ),
];
