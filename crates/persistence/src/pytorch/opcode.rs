//! The instructions of a pickle that are understood; all others are refused by name.

macro_rules! opcodes {
    ($($name:ident = $byte:literal,)*) => {
        /// An instruction that a checkpoint may contain.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Opcode { $($name,)* }

        impl Opcode {
            pub(super) fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$name),)* _ => None }
            }

            pub(super) fn byte(self) -> u8 {
                match self { $(Self::$name => $byte,)* }
            }
        }
    };
}

// Names and bytes of Python's `pickletools`; the set of `torch/_weights_only_unpickler.py`, and those that protocols 3 to 5
// write for the same things.
opcodes! {
    Proto = 0x80,
    Frame = 0x95,
    Stop = b'.',
    Mark = b'(',
    Pop = b'0',
    None = b'N',
    NewTrue = 0x88,
    NewFalse = 0x89,
    BinInt = b'J',
    BinInt1 = b'K',
    BinInt2 = b'M',
    Long1 = 0x8a,
    BinFloat = b'G',
    BinUnicode = b'X',
    ShortBinUnicode = 0x8c,
    BinString = b'T',
    ShortBinString = b'U',
    BinBytes = b'B',
    ShortBinBytes = b'C',
    EmptyTuple = b')',
    Tuple1 = 0x85,
    Tuple2 = 0x86,
    Tuple3 = 0x87,
    Tuple = b't',
    EmptyList = b']',
    Append = b'a',
    Appends = b'e',
    EmptyDict = b'}',
    SetItem = b's',
    SetItems = b'u',
    EmptySet = 0x8f,
    AddItems = 0x90,
    Global = b'c',
    StackGlobal = 0x93,
    BinPut = b'q',
    LongBinPut = b'r',
    Memoize = 0x94,
    BinGet = b'h',
    LongBinGet = b'j',
    BinPersId = b'Q',
    Reduce = b'R',
    NewObj = 0x81,
    Build = b'b',
}

/// The name of an instruction that is refused, for the message.
pub(super) fn refused_name(byte: u8) -> &'static str {
    match byte {
        b'i' => "INST, which makes an object of any class",
        b'o' => "OBJ, which makes an object of any class",
        0x92 => "NEWOBJ_EX, which makes an object of any class",
        b'P' => "PERSID, a reference in text",
        0x82..=0x84 => "EXT, a class by its number in a registry",
        b'I' | b'L' | b'F' | b'S' | b'V' => "an instruction of protocol 0, in text",
        0x96..=0x98 => "a buffer outside of the pickle",
        0x8b => "LONG4, a number of any length",
        0x8d | 0x8e => "a text of more than 4 GB",
        _ => "an instruction that checkpoints do not need",
    }
}
