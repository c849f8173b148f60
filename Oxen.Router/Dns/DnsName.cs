using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Oxen.Router.Dns;

/// <summary>
/// A domain name as a question carries it: labels with their lengths and the root's zero, at most 255 bytes (RFC 1035
/// section 3.1). Labels are bytes, not text; two names are equal if they differ in the case of ASCII letters alone (RFC 4343).
/// </summary>
internal sealed class DnsName : IEquatable<DnsName>
{
    public const int MaxBytes = 255;
    public const int MaxLabelBytes = 63;

    public static readonly DnsName Root = new([0]);

    private readonly byte[] _wire;
    private readonly byte[] _lower;
    private readonly byte[] _starts; // where each label's length stands; below 255, so a byte is enough

    private DnsName(byte[] wire)
    {
        _wire = wire;
        _lower = new byte[wire.Length];
        Span<byte> starts = stackalloc byte[MaxBytes];
        int labels = 0;
        for (int at = 0; wire[at] != 0;)
        {
            int length = wire[at];
            starts[labels++] = (byte)at;
            _lower[at++] = (byte)length;
            for (int end = at + length; at < end; at++) _lower[at] = wire[at] is >= (byte)'A' and <= (byte)'Z' ? (byte)(wire[at] | 0x20) : wire[at];
        }

        _starts = starts[..labels].ToArray();
    }

    /// <summary>As it was written, the case too.</summary>
    public ReadOnlySpan<byte> Wire => _wire;

    /// <summary>With small ASCII letters.</summary>
    public ReadOnlySpan<byte> Lower => _lower;

    public int Labels => _starts.Length;

    /// <summary>One label in small letters; 0 is the leftmost.</summary>
    public ReadOnlySpan<byte> Label(int index) => _lower.AsSpan(_starts[index] + 1, _lower[_starts[index]]);

    /// <summary>Reads a name without compression. False: it is no name, it is cut off, or it points somewhere.</summary>
    public static bool TryRead(ReadOnlySpan<byte> message, int at, [NotNullWhen(true)] out DnsName? name)
    {
        name = null;
        int start = at;
        while (true)
        {
            if (at >= message.Length) return false;
            int length = message[at++];
            if (length > MaxLabelBytes) return false; // a pointer (0xC0), or one of the label types that RFC 6891 section 5 retired
            at += length;
            if (at - start > MaxBytes || at > message.Length) return false;
            if (length == 0) break;
        }

        name = new DnsName(message[start..at].ToArray());
        return true;
    }

    /// <summary>For names that we write ourselves: `a.b.c`, without escapes; a final dot may stand there.</summary>
    /// <exception cref="ArgumentException">It is no domain name.</exception>
    public static DnsName Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text is "" or ".") return Root;
        var wire = new List<byte>(text.Length + 2);
        foreach (string label in text.TrimEnd('.').Split('.'))
        {
            if (label.Length is 0 or > MaxLabelBytes) throw new ArgumentException($"'{text}' is no domain name", nameof(text));
            wire.Add((byte)label.Length);
            wire.AddRange(Encoding.Latin1.GetBytes(label));
        }

        wire.Add(0);
        if (wire.Count > MaxBytes) throw new ArgumentException($"'{text}' is too long for a domain name", nameof(text));
        return new DnsName([.. wire]);
    }

    /// <summary>The name itself, or one below it.</summary>
    public bool IsWithin(DnsName zone)
    {
        ArgumentNullException.ThrowIfNull(zone);
        int at = zone.Labels;
        return at <= Labels && _lower.AsSpan(at == 0 ? _lower.Length - 1 : _starts[Labels - at]).SequenceEqual(zone._lower);
    }

    /// <summary>The labels from `index` on, with the case they were written in.</summary>
    public DnsName From(int index) => index == Labels ? Root : new DnsName(_wire[_starts[index]..]);

    /// <summary>The first `labels` labels before `suffix`; null if that is too long for a name.</summary>
    public DnsName? Before(DnsName suffix, int labels)
    {
        ArgumentNullException.ThrowIfNull(suffix);
        int bytes = labels == Labels ? _wire.Length - 1 : _starts[labels];
        return bytes + suffix._wire.Length > MaxBytes ? null : new DnsName([.. _wire.AsSpan(0, bytes), .. suffix._wire]);
    }

    public bool Equals(DnsName? other) => other is not null && _lower.AsSpan().SequenceEqual(other._lower);

    public override bool Equals(object? obj) => Equals(obj as DnsName);

    // Seeded at process start: a stranger cannot aim at one bucket.
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.AddBytes(_lower);
        return hash.ToHashCode();
    }

    /// <summary>Labels and dots, odd bytes as `\ddd`. For the user's own screen and tests; logs take it only inside a redaction.</summary>
    public override string ToString()
    {
        if (Labels == 0) return ".";
        var text = new StringBuilder();
        for (int i = 0; i < Labels; i++)
        {
            foreach (byte b in _wire.AsSpan(_starts[i] + 1, _wire[_starts[i]]))
            {
                if (b is <= 32 or >= 127 or (byte)'.' or (byte)'\\') text.Append(CultureInfo.InvariantCulture, $"\\{b:D3}");
                else text.Append((char)b);
            }

            text.Append('.');
        }

        return text.ToString();
    }
}
