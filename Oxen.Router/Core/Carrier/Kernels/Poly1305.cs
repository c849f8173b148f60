using System.Buffers.Binary;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>Poly1305 of RFC 8439 section 2.5: a one-time authenticator, 64-bit limbs, constant time.</summary>
/// <remarks>Create with the one-time key, absorb, finish once. `AbsorbPadded` fills each part to sixteen bytes, as the AEAD wants.</remarks>
internal ref struct Poly1305
{
    public const int KeyBytes = 32, TagBytes = 16;

    private readonly ulong _r0, _r1, _s1, _pad0, _pad1;
    private ulong _h0, _h1, _h2;

    public Poly1305(scoped ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        _r0 = BinaryPrimitives.ReadUInt64LittleEndian(key) & 0x0FFFFFFC0FFFFFFF;
        _r1 = BinaryPrimitives.ReadUInt64LittleEndian(key[8..]) & 0x0FFFFFFC0FFFFFFC;
        _s1 = _r1 + (_r1 >> 2);   // 5 r1 / 4: r1 is a multiple of four, and 2^130 = 5
        _pad0 = BinaryPrimitives.ReadUInt64LittleEndian(key[16..]);
        _pad1 = BinaryPrimitives.ReadUInt64LittleEndian(key[24..]);
    }

    /// <summary>The tag of one message.</summary>
    public static void Tag(ReadOnlySpan<byte> message, ReadOnlySpan<byte> key, Span<byte> tag)
    {
        Poly1305 state = new(key);
        int whole = message.Length & ~15;
        state.Blocks(message[..whole], 1);
        if (whole < message.Length)
        {
            Span<byte> last = stackalloc byte[16];
            last.Clear();
            message[whole..].CopyTo(last);
            last[message.Length - whole] = 1;
            state.Blocks(last, 0);
        }

        state.Finish(tag);
    }

    public void AbsorbPadded(scoped ReadOnlySpan<byte> bytes)
    {
        int whole = bytes.Length & ~15;
        Blocks(bytes[..whole], 1);
        if (whole == bytes.Length) return;
        Span<byte> last = stackalloc byte[16];
        last.Clear();
        bytes[whole..].CopyTo(last);
        Blocks(last, 1);
    }

    public void Finish(Span<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(tag.Length, TagBytes);
        // h + 5 carries into bit 130 exactly if h >= p; then h - p is its low part.
        ulong g0 = _h0 + 5;
        ulong carry = g0 < 5 ? 1ul : 0;
        ulong g1 = _h1 + carry;
        carry = g1 < carry ? 1ul : 0;
        ulong mask = 0 - ((_h2 + carry) >> 2);
        ulong h0 = (_h0 & ~mask) | (g0 & mask), h1 = (_h1 & ~mask) | (g1 & mask);
        ulong t0 = h0 + _pad0;
        ulong t1 = h1 + _pad1 + (t0 < h0 ? 1ul : 0);
        BinaryPrimitives.WriteUInt64LittleEndian(tag, t0);
        BinaryPrimitives.WriteUInt64LittleEndian(tag[8..], t1);
        this = default;
    }

    // h = (h + block + high * 2^128) * r mod 2^130 - 5, partially reduced: h2 stays below 8.
    private void Blocks(scoped ReadOnlySpan<byte> blocks, ulong high)
    {
        ulong h0 = _h0, h1 = _h1, h2 = _h2, r0 = _r0, r1 = _r1, s1 = _s1;
        for (; blocks.Length >= 16; blocks = blocks[16..])
        {
            ulong m0 = BinaryPrimitives.ReadUInt64LittleEndian(blocks), m1 = BinaryPrimitives.ReadUInt64LittleEndian(blocks[8..]);
            h0 += m0;
            ulong c = h0 < m0 ? 1ul : 0;
            h1 += c;
            c = h1 < c ? 1ul : 0;
            h1 += m1;
            c += h1 < m1 ? 1ul : 0;
            h2 += c + high;

            ulong aHigh = Math.BigMul(h0, r0, out ulong aLow);
            ulong bHigh = Math.BigMul(h1, s1, out ulong bLow);
            ulong d0 = aLow + bLow;
            ulong d0High = aHigh + bHigh + (d0 < aLow ? 1ul : 0);

            aHigh = Math.BigMul(h0, r1, out aLow);
            bHigh = Math.BigMul(h1, r0, out bLow);
            ulong d1 = aLow + bLow;
            ulong d1High = aHigh + bHigh + (d1 < aLow ? 1ul : 0);
            ulong e = h2 * s1;
            d1 += e;
            d1High += d1 < e ? 1ul : 0;
            h2 *= r0;

            d1 += d0High;
            d1High += d1 < d0High ? 1ul : 0;
            h2 += d1High;

            c = (h2 & ~3ul) + (h2 >> 2);
            h2 &= 3;
            h0 = d0 + c;
            c = h0 < c ? 1ul : 0;
            h1 = d1 + c;
            h2 += h1 < c ? 1ul : 0;
        }

        _h0 = h0;
        _h1 = h1;
        _h2 = h2;
    }
}
