using Oxen.Router.Core.Directory;

namespace Oxen.Router.Hosting.Files;

/// <summary>Contacts and lists as files: read whole and bounded, written so that a reader never finds half of one.</summary>
internal static class ContactFiles
{
    public static byte[] Read(string path, int maxBytes)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            byte[] data = new byte[(int)Math.Min(file.CanSeek ? file.Length : maxBytes, maxBytes) + 1];
            int length = file.ReadAtLeast(data, data.Length, throwOnEndOfStream: false);
            return data[..length];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }

    /// <summary>Public bytes: anybody may read them.</summary>
    public static void Write(string path, ReadOnlySpan<byte> data)
    {
        string temporary = path + ".new";
        try
        {
            using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write))
            {
                file.Write(data);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }

    /// <summary>The list of a router's configuration, checked.</summary>
    /// <param name="now">Null: whatever its time. An expired list still tells where the network is found.</param>
    public static ContactList ReadList(string path, RouterId listKey, string network, DateTimeOffset? now)
    {
        if (!ContactWords.TryNetworkId(network, out byte[] networkId)) throw new ArgumentException("not a network's name", nameof(network));
        byte[] data = Read(path, ContactList.MaxBytes);
        ContactFault fault = ContactList.TryOpen(data, listKey, networkId, now?.ToUnixTimeSeconds(), out ContactList? list);
        if (fault == ContactFault.None) return list!;
        string remedy = fault switch
        {
            ContactFault.WrongSignature => "Compare `contacts_key` with the key of whoever signs the list; if it is right, somebody changed the list: fetch it anew.",
            ContactFault.Expired => "Fetch a new list from whoever signs it, and see that this machine's clock is right.",
            ContactFault.NotYetValid => "See that this machine's clock is right.",
            ContactFault.WrongNetwork => $"Set `network` to the list's, or fetch the list of \"{network}\"; `oxen contacts show {path}` tells whose it is.",
            _ => $"Fetch it anew; `oxen contacts show {path}` tells more.",
        };
        throw new OxenException("OXN4004", $"the contact list {path} is refused: {ContactWords.Of(fault)}", remedy);
    }

    /// <summary>One router's contact, in form and signature good.</summary>
    public static RouterContact ReadContact(string path, DateTimeOffset now)
    {
        ContactFault fault = RouterContact.TryDecode(Read(path, RouterContact.MaxBytes), out RouterContact? contact);
        if (fault == ContactFault.None) fault = contact!.Verify(now.ToUnixTimeSeconds());
        return fault == ContactFault.None ? contact! : throw new OxenException("OXN4004", $"the contact {path} is refused: {ContactWords.Of(fault)}", "Its router makes a new one with `oxen contact`.");
    }
}
