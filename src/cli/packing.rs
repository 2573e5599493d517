//! Files that are compressed with gzip or zstd, unpacked as they are read.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How a file is compressed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packing {
    /// RFC 1952
    Gzip,
    /// RFC 8878
    Zstd,
}

impl Packing {
    /// What a file is that begins so; `None` if it is not packed.
    pub(super) fn of(start: &[u8]) -> Option<Packing> {
        if start.starts_with(&GZIP) {
            Some(Packing::Gzip)
        } else if start.starts_with(&ZSTD) || is_skippable(start) {
            Some(Packing::Zstd)
        } else {
            None
        }
    }

    pub(super) fn unpack(self, packed: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let packed = BufReader::new(packed);
        match self {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Zstd => Box::new(ZstdFrames::Between(Some(packed))),
        }
    }
}

/// The frames of a zstd file, one after the other; those that are to be skipped are.
enum ZstdFrames<R: BufRead> {
    Between(Option<R>),
    Within(Box<ZstdFrame<R>>),
}

/// A frame, whose first bytes were read before.
type ZstdFrame<R> = StreamingDecoder<Chain<Cursor<[u8; 4]>, R>, FrameDecoder>;

/// What `zstd -19` needs, and RFC 8878 §3.1.1.1.2 asks of a decoder.
const ZSTD_WINDOW: u64 = 8 << 20;

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                ZstdFrames::Between(reader) => {
                    let Some(mut reader) = reader.take() else {
                        return Ok(0);
                    };
                    if reader.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let mut magic = [0; 4];
                    reader.read_exact(&mut magic)?;
                    if is_skippable(&magic) {
                        let mut len = [0; 4];
                        reader.read_exact(&mut len)?;
                        let len = u64::from(u32::from_le_bytes(len));
                        io::copy(&mut (&mut reader).take(len), &mut io::sink())?;
                        *self = ZstdFrames::Between(Some(reader));
                        continue;
                    }
                    let frame = Cursor::new(magic).chain(reader);
                    let frame = StreamingDecoder::new_with_max_window_size(frame, ZSTD_WINDOW);
                    *self = ZstdFrames::Within(Box::new(frame.map_err(io::Error::other)?));
                }
                ZstdFrames::Within(frame) => {
                    let count = frame.read(buffer)?;
                    if count > 0 || buffer.is_empty() {
                        return Ok(count);
                    }
                    let done = std::mem::replace(self, ZstdFrames::Between(None));
                    if let ZstdFrames::Within(frame) = done {
                        let (reader, decoder) = frame.into_parts();
                        let wanted = decoder.get_checksum_from_data();
                        if wanted.is_some() && wanted != decoder.get_calculated_checksum() {
                            let error = "the checksum of the zstd frame does not match";
                            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                        }
                        *self = ZstdFrames::Between(Some(reader.into_inner().1));
                    }
                }
            }
        }
    }
}

/// Whether a zstd frame begins so that is to be skipped (RFC 8878 §3.1.2).
fn is_skippable(magic: &[u8]) -> bool {
    matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}
