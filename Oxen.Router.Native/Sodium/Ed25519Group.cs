using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Oxen.Router.Native.Sodium;

// The group of Ed25519 and the ring of its scalars from libsodium (RFC 8032 section 5.1), for keys that are multiples of
// other keys. Points and scalars are 32 bytes, little-endian; L = 2^252 + 27742317777372353535851937790883648493.

/// <summary>Arithmetic on Ed25519's points and scalars, in constant time where secrets go in.</summary>
internal static unsafe partial class Ed25519Group
{
    public const int PointBytes = 32;
    public const int ScalarBytes = 32;
    public const int WideScalarBytes = 64;

    private const string Library = "libsodium";

    static Ed25519Group()
    {
        if (sodium_init() < 0) throw new InvalidOperationException("libsodium did not start");
        if (crypto_core_ed25519_bytes() != PointBytes || crypto_core_ed25519_scalarbytes() != ScalarBytes || crypto_core_ed25519_nonreducedscalarbytes() != WideScalarBytes)
            throw new InvalidOperationException("libsodium's Ed25519 has other sizes than RFC 8032");
    }

    /// <summary>True for the canonical encoding of a point of the prime-order group that is not of small order.</summary>
    public static bool IsValidPoint(ReadOnlySpan<byte> point)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(point.Length, PointBytes);
        fixed (byte* p = point) return crypto_core_ed25519_is_valid_point(p) == 1;
    }

    /// <summary>`wide` (64 bytes, little-endian) modulo L.</summary>
    public static void Reduce(ReadOnlySpan<byte> wide, Span<byte> scalar)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(wide.Length, WideScalarBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(scalar.Length, ScalarBytes);
        fixed (byte* w = wide, s = scalar) crypto_core_ed25519_scalar_reduce(s, w);
    }

    /// <summary>x y modulo L. Neither needs to be reduced.</summary>
    public static void Multiply(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, Span<byte> product)
    {
        Check(x, y, product);
        fixed (byte* a = x, b = y, z = product) crypto_core_ed25519_scalar_mul(z, a, b);
    }

    /// <summary>x + y modulo L.</summary>
    public static void Add(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, Span<byte> sum)
    {
        Check(x, y, sum);
        fixed (byte* a = x, b = y, z = sum) crypto_core_ed25519_scalar_add(z, a, b);
    }

    /// <summary>scalar times the base point. False for a scalar that is a multiple of L; `point` is zeroed then.</summary>
    public static bool TryMultiplyBase(ReadOnlySpan<byte> scalar, Span<byte> point)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(scalar.Length, ScalarBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(point.Length, PointBytes);
        fixed (byte* n = scalar, q = point)
        {
            if (crypto_scalarmult_ed25519_base_noclamp(q, n) == 0) return true;
        }

        CryptographicOperations.ZeroMemory(point);
        return false;
    }

    /// <summary>scalar times `factor`. False when `factor` is no valid point (<see cref="IsValidPoint"/>) or the product is the identity; `point` is zeroed then.</summary>
    public static bool TryMultiply(ReadOnlySpan<byte> factor, ReadOnlySpan<byte> scalar, Span<byte> point)
    {
        Check(factor, scalar, point);
        fixed (byte* p = factor, n = scalar, q = point)
        {
            if (crypto_core_ed25519_is_valid_point(p) == 1 && crypto_scalarmult_ed25519_noclamp(q, n, p) == 0) return true;
        }

        CryptographicOperations.ZeroMemory(point);
        return false;
    }

    private static void Check(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, ReadOnlySpan<byte> z)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(x.Length, ScalarBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(y.Length, ScalarBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(z.Length, ScalarBytes);
    }

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial nuint crypto_core_ed25519_bytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_core_ed25519_scalarbytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_core_ed25519_nonreducedscalarbytes();

    [LibraryImport(Library)]
    private static partial int crypto_core_ed25519_is_valid_point(byte* p);

    [LibraryImport(Library)]
    private static partial void crypto_core_ed25519_scalar_reduce(byte* r, byte* s);

    [LibraryImport(Library)]
    private static partial void crypto_core_ed25519_scalar_mul(byte* z, byte* x, byte* y);

    [LibraryImport(Library)]
    private static partial void crypto_core_ed25519_scalar_add(byte* z, byte* x, byte* y);

    [LibraryImport(Library)]
    private static partial int crypto_scalarmult_ed25519_base_noclamp(byte* q, byte* n);

    [LibraryImport(Library)]
    private static partial int crypto_scalarmult_ed25519_noclamp(byte* q, byte* n, byte* p);
}
