using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>AES rounds without AES instructions and without tables: constant time, the scalar twin of the AES kernels.</summary>
/// <remarks>
/// Four blocks (64 bytes) at a time. SubBytes turns the 64 bytes into eight planes of 64 bits, inverts in GF(2^8) as
/// x^254 with four multiplications, and turns them back; ShiftRows and MixColumns work on columns held in a uint.
/// No branch and no address depends on data or key. It is slow (about a microsecond a round for four blocks) and meant
/// for processors without AES instructions and as a witness.
/// </remarks>
internal static class AesSoft
{
    public const int BatchBytes = 64;

    private struct Planes
    {
        public ulong P0, P1, P2, P3, P4, P5, P6, P7;
    }

    // FIPS 197 section 5.1. `blocks` is any number of whole blocks, in place.
    public static void EncryptBlocks(ReadOnlySpan<byte> expandedKey, Span<byte> blocks)
    {
        Span<ulong> batch = stackalloc ulong[8];
        Span<byte> state = MemoryMarshal.AsBytes(batch);
        int rounds = expandedKey.Length / 16 - 1;
        while (!blocks.IsEmpty)
        {
            int n = Math.Min(BatchBytes, blocks.Length);
            state.Clear();
            blocks[..n].CopyTo(state);
            AddRoundKey(state, expandedKey[..16]);
            for (int r = 1; r < rounds; r++)
            {
                Round(batch);
                AddRoundKey(state, expandedKey.Slice(16 * r, 16));
            }

            SubBytes(batch);
            ShiftRows(state);
            AddRoundKey(state, expandedKey.Slice(16 * rounds, 16));
            state[..n].CopyTo(blocks);
            blocks = blocks[n..];
        }

        batch.Clear();
    }

    // FIPS 197 section 5.3.
    public static void DecryptBlock(ReadOnlySpan<byte> expandedKey, Span<byte> block)
    {
        Span<ulong> batch = stackalloc ulong[8];
        Span<byte> state = MemoryMarshal.AsBytes(batch);
        int rounds = expandedKey.Length / 16 - 1;
        state.Clear();
        block.CopyTo(state);
        AddRoundKey(state, expandedKey.Slice(16 * rounds, 16));
        for (int r = rounds - 1; r >= 0; r--)
        {
            InverseShiftRows(state);
            InverseSubBytes(batch);
            AddRoundKey(state, expandedKey.Slice(16 * r, 16));
            if (r > 0) InverseMixColumns(state);
        }

        state[..16].CopyTo(block);
        batch.Clear();
    }

    /// <summary>The unkeyed round (SubBytes, ShiftRows, MixColumns) over four blocks.</summary>
    public static void Round(Span<ulong> batch)
    {
        SubBytes(batch);
        Span<byte> state = MemoryMarshal.AsBytes(batch);
        ShiftRows(state);
        MixColumns(state);
    }

    public static uint SubWord(uint word)
    {
        Span<ulong> batch = stackalloc ulong[8];
        batch.Clear();
        batch[0] = word;
        SubBytes(batch);
        uint result = (uint)batch[0];
        batch.Clear();
        return result;
    }

    private static void AddRoundKey(Span<byte> state, ReadOnlySpan<byte> roundKey)
    {
        ulong k0 = BinaryPrimitives.ReadUInt64LittleEndian(roundKey), k1 = BinaryPrimitives.ReadUInt64LittleEndian(roundKey[8..]);
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(state);
        for (int i = 0; i < words.Length; i += 2)
        {
            words[i] ^= BitConverter.IsLittleEndian ? k0 : BinaryPrimitives.ReverseEndianness(k0);
            words[i + 1] ^= BitConverter.IsLittleEndian ? k1 : BinaryPrimitives.ReverseEndianness(k1);
        }
    }

    private static void SubBytes(Span<ulong> w)
    {
        Planes x = ToPlanes(w);
        x = Invert(x);
        // b_i = a_i + a_(i+4) + a_(i+5) + a_(i+6) + a_(i+7) + 0x63_i
        Planes y = new()
        {
            P0 = ~(x.P0 ^ x.P4 ^ x.P5 ^ x.P6 ^ x.P7),
            P1 = ~(x.P1 ^ x.P5 ^ x.P6 ^ x.P7 ^ x.P0),
            P2 = x.P2 ^ x.P6 ^ x.P7 ^ x.P0 ^ x.P1,
            P3 = x.P3 ^ x.P7 ^ x.P0 ^ x.P1 ^ x.P2,
            P4 = x.P4 ^ x.P0 ^ x.P1 ^ x.P2 ^ x.P3,
            P5 = ~(x.P5 ^ x.P1 ^ x.P2 ^ x.P3 ^ x.P4),
            P6 = ~(x.P6 ^ x.P2 ^ x.P3 ^ x.P4 ^ x.P5),
            P7 = x.P7 ^ x.P3 ^ x.P4 ^ x.P5 ^ x.P6,
        };
        FromPlanes(y, w);
    }

    private static void InverseSubBytes(Span<ulong> w)
    {
        Planes x = ToPlanes(w);
        // b_i = a_(i+2) + a_(i+5) + a_(i+7) + 0x05_i
        Planes y = new()
        {
            P0 = ~(x.P2 ^ x.P5 ^ x.P7),
            P1 = x.P3 ^ x.P6 ^ x.P0,
            P2 = ~(x.P4 ^ x.P7 ^ x.P1),
            P3 = x.P5 ^ x.P0 ^ x.P2,
            P4 = x.P6 ^ x.P1 ^ x.P3,
            P5 = x.P7 ^ x.P2 ^ x.P4,
            P6 = x.P0 ^ x.P3 ^ x.P5,
            P7 = x.P1 ^ x.P4 ^ x.P6,
        };
        FromPlanes(Invert(y), w);
    }

    // x^254: 2, 3, 12, 15, 240, 252, 254.
    private static Planes Invert(in Planes x)
    {
        Planes x2 = Square(x);
        Planes x3 = Multiply(x2, x);
        Planes x12 = Square(Square(x3));
        Planes x15 = Multiply(x12, x3);
        Planes x240 = Square(Square(Square(Square(x15))));
        return Multiply(Multiply(x240, x12), x2);
    }

    private static Planes Square(in Planes x) => new()
    {
        P0 = x.P0 ^ x.P4 ^ x.P6,
        P1 = x.P4 ^ x.P6 ^ x.P7,
        P2 = x.P1 ^ x.P5,
        P3 = x.P4 ^ x.P5 ^ x.P6 ^ x.P7,
        P4 = x.P2 ^ x.P4 ^ x.P7,
        P5 = x.P5 ^ x.P6,
        P6 = x.P3 ^ x.P5,
        P7 = x.P6 ^ x.P7,
    };

    private static Planes Multiply(in Planes x, in Planes y)
    {
        ulong a0 = x.P0, a1 = x.P1, a2 = x.P2, a3 = x.P3, a4 = x.P4, a5 = x.P5, a6 = x.P6, a7 = x.P7;
        ulong b0 = y.P0, b1 = y.P1, b2 = y.P2, b3 = y.P3, b4 = y.P4, b5 = y.P5, b6 = y.P6, b7 = y.P7;
        ulong c14 = (a7 & b7);
        ulong c13 = (a6 & b7) ^ (a7 & b6);
        ulong c12 = (a5 & b7) ^ (a6 & b6) ^ (a7 & b5);
        ulong c11 = (a4 & b7) ^ (a5 & b6) ^ (a6 & b5) ^ (a7 & b4);
        ulong c10 = (a3 & b7) ^ (a4 & b6) ^ (a5 & b5) ^ (a6 & b4) ^ (a7 & b3);
        ulong c9 = (a2 & b7) ^ (a3 & b6) ^ (a4 & b5) ^ (a5 & b4) ^ (a6 & b3) ^ (a7 & b2);
        ulong c8 = (a1 & b7) ^ (a2 & b6) ^ (a3 & b5) ^ (a4 & b4) ^ (a5 & b3) ^ (a6 & b2) ^ (a7 & b1);
        ulong c7 = (a0 & b7) ^ (a1 & b6) ^ (a2 & b5) ^ (a3 & b4) ^ (a4 & b3) ^ (a5 & b2) ^ (a6 & b1) ^ (a7 & b0);
        ulong c6 = (a0 & b6) ^ (a1 & b5) ^ (a2 & b4) ^ (a3 & b3) ^ (a4 & b2) ^ (a5 & b1) ^ (a6 & b0);
        ulong c5 = (a0 & b5) ^ (a1 & b4) ^ (a2 & b3) ^ (a3 & b2) ^ (a4 & b1) ^ (a5 & b0);
        ulong c4 = (a0 & b4) ^ (a1 & b3) ^ (a2 & b2) ^ (a3 & b1) ^ (a4 & b0);
        ulong c3 = (a0 & b3) ^ (a1 & b2) ^ (a2 & b1) ^ (a3 & b0);
        ulong c2 = (a0 & b2) ^ (a1 & b1) ^ (a2 & b0);
        ulong c1 = (a0 & b1) ^ (a1 & b0);
        ulong c0 = (a0 & b0);
        // x^8 = x^4 + x^3 + x + 1
        c10 ^= c14; c9 ^= c14; c7 ^= c14; c6 ^= c14;
        c9 ^= c13; c8 ^= c13; c6 ^= c13; c5 ^= c13;
        c8 ^= c12; c7 ^= c12; c5 ^= c12; c4 ^= c12;
        c7 ^= c11; c6 ^= c11; c4 ^= c11; c3 ^= c11;
        c6 ^= c10; c5 ^= c10; c3 ^= c10; c2 ^= c10;
        c5 ^= c9; c4 ^= c9; c2 ^= c9; c1 ^= c9;
        c4 ^= c8; c3 ^= c8; c1 ^= c8; c0 ^= c8;
        return new Planes { P0 = c0, P1 = c1, P2 = c2, P3 = c3, P4 = c4, P5 = c5, P6 = c6, P7 = c7 };
    }

    // An 8 x 8 transposition between the index of the word and the index of the bit within its byte; its own inverse.
    private static Planes ToPlanes(Span<ulong> w)
    {
        Planes p = new() { P0 = w[0], P1 = w[1], P2 = w[2], P3 = w[3], P4 = w[4], P5 = w[5], P6 = w[6], P7 = w[7] };
        Transpose(ref p);
        return p;
    }

    private static void FromPlanes(Planes p, Span<ulong> w)
    {
        Transpose(ref p);
        (w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]) = (p.P0, p.P1, p.P2, p.P3, p.P4, p.P5, p.P6, p.P7);
    }

    private static void Transpose(ref Planes p)
    {
        SwapMove(ref p.P0, ref p.P1, 0x5555555555555555, 1);
        SwapMove(ref p.P2, ref p.P3, 0x5555555555555555, 1);
        SwapMove(ref p.P4, ref p.P5, 0x5555555555555555, 1);
        SwapMove(ref p.P6, ref p.P7, 0x5555555555555555, 1);
        SwapMove(ref p.P0, ref p.P2, 0x3333333333333333, 2);
        SwapMove(ref p.P1, ref p.P3, 0x3333333333333333, 2);
        SwapMove(ref p.P4, ref p.P6, 0x3333333333333333, 2);
        SwapMove(ref p.P5, ref p.P7, 0x3333333333333333, 2);
        SwapMove(ref p.P0, ref p.P4, 0x0F0F0F0F0F0F0F0F, 4);
        SwapMove(ref p.P1, ref p.P5, 0x0F0F0F0F0F0F0F0F, 4);
        SwapMove(ref p.P2, ref p.P6, 0x0F0F0F0F0F0F0F0F, 4);
        SwapMove(ref p.P3, ref p.P7, 0x0F0F0F0F0F0F0F0F, 4);
    }

    private static void SwapMove(ref ulong a, ref ulong b, ulong mask, int shift)
    {
        ulong t = ((a >> shift) ^ b) & mask;
        b ^= t;
        a ^= t << shift;
    }

    // A column is four bytes, row 0 first: with little-endian loads row r is bits 8r to 8r + 7.
    private static void ShiftRows(Span<byte> state)
    {
        for (int i = 0; i < state.Length; i += 16)
        {
            (uint c0, uint c1, uint c2, uint c3) = Columns(state[i..]);
            Store(state[i..], Diagonal(c0, c1, c2, c3), Diagonal(c1, c2, c3, c0), Diagonal(c2, c3, c0, c1), Diagonal(c3, c0, c1, c2));
        }
    }

    private static void InverseShiftRows(Span<byte> state)
    {
        for (int i = 0; i < state.Length; i += 16)
        {
            (uint c0, uint c1, uint c2, uint c3) = Columns(state[i..]);
            Store(state[i..], Diagonal(c0, c3, c2, c1), Diagonal(c1, c0, c3, c2), Diagonal(c2, c1, c0, c3), Diagonal(c3, c2, c1, c0));
        }
    }

    private static void MixColumns(Span<byte> state)
    {
        for (int i = 0; i < state.Length; i += 16)
        {
            (uint c0, uint c1, uint c2, uint c3) = Columns(state[i..]);
            Store(state[i..], Mix(c0), Mix(c1), Mix(c2), Mix(c3));
        }
    }

    private static void InverseMixColumns(Span<byte> state)
    {
        for (int i = 0; i < state.Length; i += 16)
        {
            (uint c0, uint c1, uint c2, uint c3) = Columns(state[i..]);
            Store(state[i..], Mix(Unmix(c0)), Mix(Unmix(c1)), Mix(Unmix(c2)), Mix(Unmix(c3)));
        }
    }

    private static uint Diagonal(uint r0, uint r1, uint r2, uint r3) => (r0 & 0x000000FF) | (r1 & 0x0000FF00) | (r2 & 0x00FF0000) | (r3 & 0xFF000000);

    private static uint Mix(uint c)
    {
        uint next = uint.RotateRight(c, 8), sum = c ^ next;
        return Double(sum) ^ next ^ uint.RotateRight(sum, 16);
    }

    // InvMixColumns = MixColumns after adding 4 (a_r + a_(r+2)) to each row.
    private static uint Unmix(uint c) => c ^ Double(Double(c ^ uint.RotateRight(c, 16)));

    private static uint Double(uint c) => ((c & 0x7F7F7F7F) << 1) ^ (((c >> 7) & 0x01010101) * 0x1B);

    private static (uint, uint, uint, uint) Columns(ReadOnlySpan<byte> b) => (
        BinaryPrimitives.ReadUInt32LittleEndian(b), BinaryPrimitives.ReadUInt32LittleEndian(b[4..]),
        BinaryPrimitives.ReadUInt32LittleEndian(b[8..]), BinaryPrimitives.ReadUInt32LittleEndian(b[12..]));

    private static void Store(Span<byte> b, uint c0, uint c1, uint c2, uint c3)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, c0);
        BinaryPrimitives.WriteUInt32LittleEndian(b[4..], c1);
        BinaryPrimitives.WriteUInt32LittleEndian(b[8..], c2);
        BinaryPrimitives.WriteUInt32LittleEndian(b[12..], c3);
    }
}
