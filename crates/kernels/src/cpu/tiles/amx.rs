//! Tiles of AMX: eight registers of 16 rows with 64 bytes each.
//!
//! A product takes 16 rows of 32 numbers of bfloat16 (the left factor), 16 rows of 16 pairs (the right factor: a row holds two rows of the
//! matrix, number by number beside each other), and adds to 16 rows of 16 `f32`. The intrinsics are not stable, so it is inline assembly.

use std::sync::OnceLock;

/// Rows of a tile, and columns of a tile of sums.
pub(super) const EDGE: usize = 16;
/// Numbers of bfloat16 in a row of a left tile: how many terms a product of tiles adds up.
pub(super) const DEPTH: usize = 32;

/// A tile of bfloat16.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile(pub(super) [u16; EDGE * DEPTH]);

/// Whether the processor has these tiles and AVX-512 with bfloat16, and the system lets this process use them.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bf16")
            && has_tiles()
            && is_permitted()
    })
}

/// The processor's own word (leaf 7, sub-leaf 0: bit 22 of EDX is AMX-BF16, bit 24 AMX-TILE).
fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let leaves = __cpuid(0).eax;
    leaves >= 7 && __cpuid_count(7, 0).edx & (1 << 22 | 1 << 24) == (1 << 22 | 1 << 24)
}

/// Asks Linux for the tiles' state (`arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`): it grows each thread's saved registers by
/// 8 KiB, so a process has to ask. It fails on kernels before 5.16, and where a signal stack is too small.
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: the call reads and writes no memory of this process; `syscall` changes RAX, RCX and R11 only, which are declared.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// `LDTILECFG`'s argument: all eight tiles with 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The tiles of this thread, configured; they are released when this is dropped.
///
/// The compiler does not know the registers `tmm0` to `tmm7` as long as no function enables the feature, so what one block of assembly
/// leaves in them is there for the next one.
pub(super) struct Tiles {
    /// Belongs to the thread whose registers they are.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Tiles {
    /// # Panics
    /// If there are no tiles.
    pub(super) fn configure() -> Self {
        assert!(is_available());
        let configuration = Configuration {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
            rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        // SAFETY: the processor has the instruction and the process may use it, as was just asserted; it reads these 64 bytes.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly, preserves_flags));
        }
        Self {
            _thread: std::marker::PhantomData,
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the instruction is there, or there were no `Tiles`; nobody expects anything in the registers any more.
        unsafe { std::arch::asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
    }
}

/// Where the rows of a factor lie: two strips of 16 rows, whose tiles for block `k` of the terms begin `offsets[k]` bytes further on.
#[derive(Clone, Copy)]
pub(super) struct Strips<'a> {
    pub(super) first: *const u8,
    pub(super) second: *const u8,
    /// Bytes from a row to the next.
    pub(super) row: usize,
    /// Bytes from a part (of the splitting) to the next.
    pub(super) part: usize,
    pub(super) offsets: &'a [usize],
}

/// The parts of the left and the right factor that are multiplied, in an order in which only one of them is another than before: loads are
/// what the products wait for. The small ones come first, for the sake of the sum.
const fn pairs<const PARTS: usize>() -> &'static [(usize, usize)] {
    match PARTS {
        1 => &[(0, 0)],
        2 => &[(1, 0), (0, 0), (0, 1)],
        _ => &[(2, 0), (1, 0), (1, 1), (0, 1), (0, 0), (0, 2)],
    }
}

/// Adds the products of two strips of the left factor with two of the right one to 32 x 32 sums, or to fewer where `ROWS` or `COLUMNS`
/// is 1 instead of 2. `PARTS` is how many parts the factors are split into; products of parts whose numbers add up to `PARTS` or more
/// are left out.
///
/// # Safety
/// For every offset, 16 rows of 64 bytes must be readable at each strip and part. `out` must be writable for `ROWS` times 16 rows, `stride`
/// numbers apart, of `COLUMNS` times 16 numbers, and hold numbers if they are accumulated.
#[inline(always)]
pub(super) unsafe fn multiply<const PARTS: usize, const ROWS: usize, const COLUMNS: usize>(
    _tiles: &Tiles,
    left: Strips<'_>,
    right: Strips<'_>,
    out: *mut f32,
    stride: usize,
    accumulate: bool,
) {
    macro_rules! sums {
        ($instruction:literal, $tile:literal, $row:literal, $column:literal, $before:literal, $after:literal) => {
            if ROWS > $row && COLUMNS > $column {
                std::arch::asm!(
                    concat!($instruction, " ", $before, "[{at} + {stride}]", $after),
                    at = in(reg) out.wrapping_add($row * EDGE * stride + $column * EDGE),
                    stride = in(reg) stride * size_of::<f32>(),
                    options(nostack, preserves_flags),
                );
            }
        };
    }
    macro_rules! clear {
        ($tile:literal) => {
            std::arch::asm!(
                concat!("tilezero ", $tile),
                options(nostack, nomem, preserves_flags)
            )
        };
    }
    macro_rules! load {
        ($tile:literal, $from:expr, $stride:expr) => {
            std::arch::asm!(
                concat!("tileloadd ", $tile, ", [{from} + {stride}]"),
                from = in(reg) $from,
                stride = in(reg) $stride,
                options(nostack, readonly, preserves_flags),
            )
        };
    }
    macro_rules! product {
        ($sums:literal, $left:literal, $right:literal) => {
            std::arch::asm!(
                concat!("tdpbf16ps ", $sums, ", ", $left, ", ", $right),
                options(nostack, nomem, preserves_flags),
            )
        };
    }
    // SAFETY: the tiles are configured (`_tiles`), and the caller vouches for the memory.
    unsafe {
        if accumulate {
            sums!("tileloadd", "tmm0", 0, 0, "tmm0, ", "");
            sums!("tileloadd", "tmm1", 0, 1, "tmm1, ", "");
            sums!("tileloadd", "tmm2", 1, 0, "tmm2, ", "");
            sums!("tileloadd", "tmm3", 1, 1, "tmm3, ", "");
        } else {
            clear!("tmm0");
            clear!("tmm1");
            clear!("tmm2");
            clear!("tmm3");
        }
        for (left_offset, right_offset) in left.offsets.iter().zip(right.offsets) {
            let left_at = |strip: *const u8, part: usize| strip.wrapping_add(*left_offset + part * left.part);
            let right_at = |strip: *const u8, part: usize| strip.wrapping_add(*right_offset + part * right.part);
            let mut loaded = (PARTS, PARTS);
            for &(i, j) in pairs::<PARTS>() {
                if loaded.0 != i {
                    load!("tmm4", left_at(left.first, i), left.row);
                    if ROWS == 2 {
                        load!("tmm5", left_at(left.second, i), left.row);
                    }
                }
                if loaded.1 != j {
                    load!("tmm6", right_at(right.first, j), right.row);
                    if COLUMNS == 2 {
                        load!("tmm7", right_at(right.second, j), right.row);
                    }
                }
                loaded = (i, j);
                product!("tmm0", "tmm4", "tmm6");
                if COLUMNS == 2 {
                    product!("tmm1", "tmm4", "tmm7");
                }
                if ROWS == 2 {
                    product!("tmm2", "tmm5", "tmm6");
                    if COLUMNS == 2 {
                        product!("tmm3", "tmm5", "tmm7");
                    }
                }
            }
        }
        sums!("tilestored", "tmm0", 0, 0, "", ", tmm0");
        sums!("tilestored", "tmm1", 0, 1, "", ", tmm1");
        sums!("tilestored", "tmm2", 1, 0, "", ", tmm2");
        sums!("tilestored", "tmm3", 1, 1, "", ", tmm3");
    }
}
