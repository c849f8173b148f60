using System.Globalization;
using System.Text;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Hosting.Files;

/// <summary>What the directory's values are called before people.</summary>
internal static class ContactWords
{
    public static string Of(ContactFault fault) => fault switch
    {
        ContactFault.None => "good",
        ContactFault.Truncated => "it is cut short, or bytes follow its end",
        ContactFault.TooLarge => "it is larger than the format allows",
        ContactFault.UnknownVersion => "it is of a version that this program does not know",
        ContactFault.Malformed => "it is not of the form of docs/protocol/directory.md",
        ContactFault.WrongKeyId => "its onion key does not belong to its key id",
        ContactFault.UnusableKey => "its onion key is none that anything can be sealed to",
        ContactFault.WrongSignature => "its signature is not by the key that it must be signed with",
        ContactFault.NotYetValid => "it is not valid yet: the clock here is behind, or the signer's is ahead",
        ContactFault.Expired => "it has expired",
        ContactFault.ValidTooLong => "it claims to be valid for longer than the network allows",
        ContactFault.DuplicateOrUnordered => "a router stands in it twice, or it is not in order",
        ContactFault.WrongNetwork => "it belongs to another network",
        ContactFault.UnknownRouter => "it is of a router that is not on the list",
        _ => fault.ToString(),
    };

    public static string Of(RouterCapabilities capabilities) => capabilities == RouterCapabilities.None ? "none" : capabilities.ToString().ToLowerInvariant();

    public static string Date(long unixSeconds) =>
        unixSeconds is >= 0 and < 253_402_300_800 ? DateTimeOffset.FromUnixTimeSeconds(unixSeconds).ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture) : "out of range";

    // A network is named by 1 to 32 printable ASCII characters; its id is the name, filled with zeros.

    public static bool TryNetworkId(string name, out byte[] id)
    {
        id = new byte[ContactList.NetworkIdBytes];
        if (name.Length is 0 or > ContactList.NetworkIdBytes || !name.All(c => c is > ' ' and <= '~')) return false;
        Encoding.ASCII.GetBytes(name, id);
        return true;
    }

    public static string NetworkName(ReadOnlySpan<byte> id)
    {
        ReadOnlySpan<byte> name = id.TrimEnd((byte)0);
        foreach (byte b in name)
        {
            if (b is <= (byte)' ' or > (byte)'~') return Convert.ToHexStringLower(id);
        }

        return Encoding.ASCII.GetString(name);
    }
}
