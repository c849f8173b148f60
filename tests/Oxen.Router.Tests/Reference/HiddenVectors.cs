using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Oxen.Router.Tests.Reference;

// Vectors of hidden services. All inputs are SHA-256 in counter mode over a name. Written anew by
//   OXEN_WRITE_VECTORS=1 dotnet test tests/Oxen.Router.Tests --filter FullyQualifiedName~HiddenVectorTests
internal sealed record HiddenVector(
    string Seed, ulong Period, string Randomness, string Address, string Blinded, string Message, string Signature, string Subcredential,
    string Salt, string Ephemeral, string Noise, string ClientSecret, string Cookie, ulong Revision, ulong Expires, string Content, string Introset,
    string Introduction, string SessionX, string SessionKem, string SharedStatic, string SharedKem, string SharedEphemeral, string ServiceShare, string SealKey, string FinalKeys);

internal static class HiddenVectors
{
    private static readonly JsonSerializerOptions Style = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static string Path() => System.IO.Path.Combine(System.IO.Path.GetDirectoryName(OnionVectors.Path())!, "hidden-service.json");

    public static HiddenVector[] Read() => JsonSerializer.Deserialize<HiddenVector[]>(File.ReadAllText(Path()), Style)!;

    public static string Generate() => JsonSerializer.Serialize(Enumerable.Range(1, 3).Select(Make).ToArray(), Style) + "\n";

    // The second introset is for authorised clients. The contents are noise: what stands in them is another matter.
    private static HiddenVector Make(int number)
    {
        byte[] Draw(string name, int length) => Bytes($"{name} {number}", length);
        byte[] seed = Draw("seed", 32), randomness = Draw("randomness", 32), message = Draw("message", 10 * number), salt = Draw("salt", 32), ephemeral = Draw("ephemeral", 32);
        byte[] noise = Draw("noise", 40 * 16), secret = Draw("client", 32), content = Draw("content", 1500), cookie = number == 2 ? Draw("cookie", 32) : new byte[32];
        ulong period = 20_454UL + (ulong)number;
        SlowHidden.Period keys = SlowHidden.PeriodOf(seed, period, randomness);
        byte[] subcredential = SlowHidden.Subcredential(keys.Address, keys.Blinded);
        byte[] introset = SlowHidden.WriteIntroset(keys, content, 0, (ulong)(7 * number), 1_767_230_000, salt, ephemeral, noise, number == 2 ? SlowHidden.X25519Public(secret) : null, cookie);
        byte[] introduction = Draw("introduction", 1300), x = Draw("session x", 32), kem = Draw("session kem", 1184), one = Draw("static", 32), two = Draw("kem", 32), three = Draw("fresh", 32), share = Draw("share", 32);
        byte[] hash = SlowHidden.IntroductionHash(introduction, subcredential, x, kem);
        return new HiddenVector(
            Hex(seed), period, Hex(randomness), Hex(keys.Address), Hex(keys.Blinded), Hex(message), Hex(SlowEd25519.Sign(keys.Scalar, keys.Nonce, message)), Hex(subcredential),
            Hex(salt), Hex(ephemeral), Hex(noise), number == 2 ? Hex(secret) : "", Hex(cookie), (ulong)(7 * number), 1_767_230_000, Hex(content), Hex(introset),
            Hex(introduction), Hex(x), Hex(kem), Hex(one), Hex(two), Hex(three), Hex(share), Hex(SlowHidden.SealKey(one, two, hash)), Hex(SlowHidden.Final(one, two, three, introduction, hash, share)));
    }

    private static byte[] Bytes(string name, int length)
    {
        List<byte> bytes = [];
        for (int i = 0; bytes.Count < length; i++) bytes.AddRange(SHA256.HashData(Encoding.ASCII.GetBytes($"hidden {name} {i}")));
        return [.. bytes.Take(length)];
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
